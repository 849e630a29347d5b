"""What changes no figure: errors, texts without credentials, whole files, checksums."""
