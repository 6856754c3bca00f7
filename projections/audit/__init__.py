"""The audit trail: which events answer an auditor's question, and the queries over them."""
