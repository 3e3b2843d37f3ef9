"""Who may use the server: users, their groups and roles, sign-ins, keys, and the audit log."""
