"""Style rules for protos, with buf's ids and categories."""
