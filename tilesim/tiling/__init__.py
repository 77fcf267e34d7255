"""Cutting a detector into tiles and budgeting their memory."""
