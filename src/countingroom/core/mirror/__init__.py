"""What leaves the laboratory: rules for fields, templates for log lines, replaced names, and the last check. Pure."""
