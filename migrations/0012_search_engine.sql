-- Which index of the search engine holds what was fed to it: one that is another, or is gone, is filled anew.
CREATE TABLE search_engine (
    index_uid text PRIMARY KEY,
    created_at text NOT NULL,
    shape text NOT NULL
);
