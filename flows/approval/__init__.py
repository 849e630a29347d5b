"""Asking a person whether a version becomes the champion."""
