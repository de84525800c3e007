"""No function of any hook is here."""
