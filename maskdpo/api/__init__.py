"""The Python API: what a notebook, a script or a service calls. Users import it from `maskdpo`.

The rule: plain values in, typed values out. No function here needs a file, prints, or owns the
caller's event loop; each of them calls the same code as the command of the same name.
"""
