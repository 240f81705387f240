"""The toolkit's own history: a revision for each change of its tables since its first release."""
