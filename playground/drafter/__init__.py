"""The recurrent drafter: its cell, its configuration, its checkpoint files, and the lookup it reads.

Knows no base model beyond the few things a drafter takes from it.
"""
