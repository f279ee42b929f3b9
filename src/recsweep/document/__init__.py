"""The report of a sweep: one page, tables and an appendix for a paper, made of records and views."""
