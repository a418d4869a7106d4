# Loaded on first use, so that the fork server of a solve starts before the command line does.
from .app import main as main
