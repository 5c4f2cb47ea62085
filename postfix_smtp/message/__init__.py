"""What happens to the message on its way out: headers, MIME, checks, rewriting, line ends (spec: message chapter)."""
