"""Law: tests only; shipped for plug-in authors, imported by nothing that ships."""
