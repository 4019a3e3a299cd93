"""The query language: a text that says which jobs, and in which order. Pure.

`parser.parse` makes a `syntax.Query` of a text; `store.selection` makes SQL of that.
"""
