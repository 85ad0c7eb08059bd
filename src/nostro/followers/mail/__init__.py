"""E-mail: events of the journal as letters to those they concern (docs/operating/mail.md)."""
