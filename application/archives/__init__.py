"""Reading archives of strangers: bounded in time, memory and expansion, and never unpacked to a path of theirs."""
