"""sitecustomize - what every Python runs at its start under `chromabouncer wrap`.

`wrap` puts this folder in front of PYTHONPATH, so Python finds this module before the environment's
own sitecustomize, which is run too. Then this one waits for chromadb; what is changed there is in
chromabouncer_hook.py. Any Python may meet this file: the syntax is old, the imports are free.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
WATCHED = "chromadb.api.shared_system_client"  # each of Chroma's clients is made through this module


class Finder(object):
    """Finds nothing itself; stands first to learn when WATCHED is imported."""

    def find_spec(self, name, path=None, target=None):
        if name != WATCHED:
            return None
        for finder in list(sys.meta_path):
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                hook_after(spec.loader)
                return spec
        return None


def hook_after(loader):
    """When `loader` has executed its module, change what is to be changed there."""
    execute = loader.exec_module

    def exec_module(module):
        execute(module)
        try:
            load("chromabouncer_hook").install(module)
        except Exception as error:
            if os.environ.get("CHROMABOUNCER_WRAP_STRICT") == "1":
                raise
            sys.stderr.write("chromabouncer: this chromadb is left alone: %r\n" % (error,))

    loader.exec_module = exec_module


def load(name):
    """The module `name` of this folder, which is not on sys.path any more."""
    import importlib.util

    spec = importlib.util.spec_from_file_location(name, os.path.join(HERE, name + ".py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_hidden():
    """Run the sitecustomize that Python would have found without `wrap`."""
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != HERE]
    own = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # noqa: F401
    except ImportError as error:
        if getattr(error, "name", None) != "sitecustomize":
            raise
        sys.modules["sitecustomize"] = own


if os.environ.get("CHROMABOUNCER_WRAP"):
    sys.meta_path.insert(0, Finder())
run_hidden()
