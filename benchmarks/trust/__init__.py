"""What `make trust` runs, part by part, and the report that is written from the parts' own records."""
