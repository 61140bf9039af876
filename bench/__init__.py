"""What is measured stands beside the raw limit of the same run; nothing here is a test."""
