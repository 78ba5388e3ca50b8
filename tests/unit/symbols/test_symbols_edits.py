"""Made packages, run before and after an edit: what changes what a job prints changes its digest, and only that."""

import pytest

from tests.made.packages import Case, digests, printed

USES = "from boldflow.core import a\ndef run():\n    return a.f()\n"
FROM = "from boldflow.core.a import f\ndef run():\n    return f()\n"
PLAIN = "== core/a.py\ndef f():\n    return 1\n"
CASES = {
    # names and imports
    "function": Case(FROM + PLAIN, "core/a.py", "return 1", "return 2"),
    "function of a module": Case(USES + PLAIN, "core/a.py", "return 1", "return 2"),
    "function that nobody names": Case(
        FROM + PLAIN + "def g():\n    return 3\n", "core/a.py", "return 3", "return 4", False
    ),
    "comment": Case(FROM + PLAIN, "core/a.py", "return 1", "return 1  # one", False),
    "docstring": Case(FROM + PLAIN, "core/a.py", "def f():\n", 'def f():\n    """Say it."""\n', False),
    "docstring alone": Case(FROM + '== core/a.py\ndef f():\n    """Old."""\n', "core/a.py", "Old", "New", False),
    "layout": Case(FROM + PLAIN, "core/a.py", "return 1", "return (\n        1\n    )", False),
    "constant": Case(FROM + "== core/a.py\nN = 1\ndef f():\n    return N\n", "core/a.py", "N = 1", "N = 2"),
    "constant of a constant": Case(
        FROM + "== core/a.py\nfrom boldflow.core.b import M\nN = (M, 0)\ndef f():\n    return N\n== core/b.py\nM = 1\n",
        *("core/b.py", "M = 1", "M = 2"),
    ),
    "constant that nobody names": Case(FROM + PLAIN + "N = 1\n", "core/a.py", "N = 1", "N = 2", False),
    "kind of a number": Case(FROM + PLAIN, "core/a.py", "return 1", "return 1.0"),
    "true is not one": Case(FROM + PLAIN, "core/a.py", "return 1", "return True"),
    "local import": Case(
        "def run():\n    from boldflow.core import a\n    return a.f()\n" + PLAIN, "core/a.py", "return 1", "return 2"
    ),
    "local import under another name": Case(
        "def run():\n    from boldflow.core.a import f as g\n    return g()\n" + PLAIN,
        "core/a.py",
        "return 1",
        "return 2",
    ),
    "dotted import": Case(
        "import boldflow.core.a\ndef run():\n    return boldflow.core.a.f()\n" + PLAIN,
        "core/a.py",
        "return 1",
        "return 2",
    ),
    "relative import": Case(
        "from ..core.a import f\ndef run():\n    return f()\n" + PLAIN, "core/a.py", "return 1", "return 2"
    ),
    "re-export": Case(
        "from boldflow.core import f\ndef run():\n    return f()\n== core/__init__.py\nfrom boldflow.core.a import f\n"
        + PLAIN,
        *("core/a.py", "return 1", "return 2"),
    ),
    "re-export that is swapped": Case(
        "from boldflow.core import f\ndef run():\n    return f()\n== core/__init__.py\nfrom boldflow.core.a import f\n"
        + PLAIN
        + "def g():\n    return 2\n",
        *("core/__init__.py", "import f", "import g as f"),
    ),
    "import that is swapped": Case(
        FROM + PLAIN + "== core/b.py\ndef f():\n    return 2\n", "stages/job.py", "core.a", "core.b"
    ),
    "package that gives a module's name to a function": Case(
        "from boldflow.core import a\ndef run():\n    return a()\n== core/__init__.py\nfrom boldflow.core.a import a\n"
        "== core/a.py\ndef a():\n    return 1\n",
        *("core/a.py", "return 1", "return 2"),
    ),
    "package beside a module of one name": Case(
        USES + "== core/a.py\ndef f():\n    return 1\n", "core/a/__init__.py", "", "def f():\n    return 2\n"
    ),
    "star": Case(
        "from boldflow.core.a import *\ndef run():\n    return f()\n" + PLAIN, "core/a.py", "return 1", "return 2"
    ),
    "hidden builtin": Case(
        FROM + "== core/a.py\ndef f():\n    return max(1, 2)\n",
        "core/a.py",
        "def f",
        "def max(*x):\n    return 0\ndef f",
    ),
    "argument hides a function": Case(
        "from boldflow.core.a import f\ndef run(g=3):\n    return g\ndef other():\n    return f()\n" + PLAIN,
        *("core/a.py", "return 1", "return 2", False),
    ),
    "local name hides a function": Case(
        "def run():\n    f = 3\n    return f\ndef f():\n    return 1\n", "stages/job.py", "return 1", "return 2", False
    ),
    "name after a comprehension of the same name": Case(
        "def f():\n    return 1\ndef run():\n    return [f for f in range(2)], f()\n",
        "stages/job.py",
        "return 1",
        "return 2",
    ),
    "walrus in a comprehension": Case(
        "def f():\n    return 1\ndef run():\n    return [y for x in range(2) if (y := f())]\n",
        *("stages/job.py", "return 1", "return 2"),
    ),
    "global": Case(
        "N = 0\ndef set_n():\n    global N\n    N = 1\ndef run():\n    set_n()\n    return N\n",
        *("stages/job.py", "    N = 1", "    N = 2"),
    ),
    "default": Case(
        "from boldflow.core.a import f\ndef run(x=f()):\n    return x\n" + PLAIN, "core/a.py", "return 1", "return 2"
    ),
    "default of an inner lambda does not hide": Case(
        "def f():\n    return 1\ndef run(g=lambda f=0: f):\n    return f() + g()\n",
        "stages/job.py",
        "return 1",
        "return 2",
    ),
    "inner function": Case(
        "from boldflow.core.a import f\ndef run():\n    def inner():\n        return f()\n    return inner()\n" + PLAIN,
        *("core/a.py", "return 1", "return 2"),
    ),
    "match": Case(
        "from boldflow.core.a import C\ndef run():\n    match 1:\n        case C.ONE:\n            return 'a'\n"
        "    return 'b'\n== core/a.py\nclass C:\n    ONE = 1\n",
        *("core/a.py", "ONE = 1", "ONE = 2"),
    ),
    "exception": Case(
        "from boldflow.core.a import E\ndef run():\n    try:\n        raise ValueError\n    except E:\n"
        "        return 1\n"
        "    except Exception:\n        return 2\n== core/a.py\nE = (ValueError,)\n",
        *("core/a.py", "(ValueError,)", "(KeyError,)"),
    ),
    # values that are functions, modules and classes
    "dictionary of functions": Case(
        "from boldflow.core.a import TABLE\ndef run():\n    return TABLE['f']()\n== core/a.py\ndef f():\n    return 1\n"
        "TABLE = {'f': f}\n",
        *("core/a.py", "return 1", "return 2"),
    ),
    "partial": Case(
        "import functools\nfrom boldflow.core.a import f\nG = functools.partial(f)\ndef run():\n    return G()\n"
        + PLAIN,
        *("core/a.py", "return 1", "return 2"),
    ),
    "module as a value": Case(
        "from boldflow.core import a\ndef run():\n    return getattr(a, 'f')()\n" + PLAIN,
        "core/a.py",
        "return 1",
        "return 2",
    ),
    "module under another name": Case(
        "from boldflow.core import a\nmodule = a\ndef run():\n    return module.f()\n" + PLAIN,
        *("core/a.py", "return 1", "return 2"),
    ),
    "getattr of a module": Case(
        "from boldflow.core import a\ndef run():\n    return a.f()\n== core/a.py\ndef __getattr__(name):\n"
        "    return lambda: name + '1'\n",
        *("core/a.py", "'1'", "'2'"),
    ),
    "method": Case(
        "from boldflow.core.a import C\ndef run():\n    return C().m()\n== core/a.py\nclass C:\n    def m(self):\n"
        "        return 1\n",
        *("core/a.py", "return 1", "return 2"),
    ),
    "method of a base": Case(
        "from boldflow.core.a import C\ndef run():\n    return C().m()\n== core/a.py\nfrom boldflow.core.b import B\n"
        "class C(B):\n    pass\n== core/b.py\nclass B:\n    def m(self):\n        return 1\n",
        *("core/b.py", "return 1", "return 2"),
    ),
    "property": Case(
        "from boldflow.core.a import C\ndef run():\n    return C().m\n== core/a.py\nclass C:\n    @property\n"
        "    def m(self):\n        return 1\n",
        *("core/a.py", "return 1", "return 2"),
    ),
    "operator": Case(
        "from boldflow.core.a import C\ndef run():\n    return C() + 1\n== core/a.py\nclass C:\n"
        "    def __add__(self, x):\n        return 1\n",
        *("core/a.py", "return 1", "return 2"),
    ),
    "attribute of a definition": Case(
        "from boldflow.core.a import f\ndef run():\n    return f.n\n== core/a.py\ndef f():\n    return 1\nf.n = 5\n",
        *("core/a.py", "5", "6"),
    ),
    # what importing does
    "registering decorator": Case(
        "from boldflow.core import a, b\ndef run():\n    return [g() for g in a.ALL]\n== core/a.py\nALL = []\n"
        "def register(g):\n    ALL.append(g)\n    return g\n== core/b.py\nfrom boldflow.core.a import register\n"
        "@register\ndef f():\n    return 1\n",
        *("core/b.py", "return 1", "return 2"),
    ),
    "init_subclass": Case(
        "from boldflow.core import a, b\ndef run():\n    return [c.n for c in a.ALL]\n== core/a.py\n"
        "ALL = []\nclass B:\n"
        "    def __init_subclass__(cls):\n        ALL.append(cls)\n== core/b.py\nfrom boldflow.core.a import B\n"
        "class C(B):\n    n = 1\n",
        *("core/b.py", "n = 1", "n = 2"),
    ),
    "metaclass": Case(
        "from boldflow.core import a, b\ndef run():\n    return [c.n for c in a.ALL]\n== core/a.py\nALL = []\n"
        "class M(type):\n    def __init__(cls, *x):\n        ALL.append(cls)\n== core/b.py\n"
        "from boldflow.core.a import M\nclass C(metaclass=M):\n    n = 1\n",
        *("core/b.py", "n = 1", "n = 2"),
    ),
    "subclasses": Case(
        "from boldflow.core import a, b\ndef run():\n    return [c.n for c in a.B.__subclasses__()]\n"
        "== core/a.py\nclass B:\n    n = 0\n== core/b.py\nfrom boldflow.core.a import B\nclass C(B):\n    n = 1\n",
        *("core/b.py", "n = 1", "n = 2"),
    ),
    "singledispatch": Case(
        "from boldflow.core import a, b\ndef run():\n    return a.f(1)\n== core/a.py\nimport functools\n"
        "@functools.singledispatch\ndef f(x):\n    return 0\n== core/b.py\nfrom boldflow.core.a import f\n"
        "@f.register\ndef _(x: int):\n    return 1\n",
        *("core/b.py", "return 1", "return 2"),
    ),
    "patch of a module": Case(
        "from boldflow.core import a, b\ndef run():\n    return a.f()\n" + PLAIN + "== core/b.py\n"
        "from boldflow.core import a\na.f = lambda: 2\n",
        *("core/b.py", "lambda: 2", "lambda: 3"),
    ),
    "patch by setattr": Case(
        "from boldflow.core import a, b\ndef run():\n    return a.f()\n" + PLAIN + "== core/b.py\n"
        "from boldflow.core import a\nsetattr(a, 'f', lambda: 2)\n",
        *("core/b.py", "lambda: 2", "lambda: 3"),
    ),
    "patch of a class": Case(
        "from boldflow.core import a, b\ndef run():\n    return a.C.n\n== core/a.py\nclass C:\n    n = 1\n"
        "== core/b.py\nfrom boldflow.core.a import C\nC.n = 2\n",
        *("core/b.py", "C.n = 2", "C.n = 3"),
    ),
    "patch by a function that runs": Case(
        "from boldflow.core import a, b\ndef run():\n    b.patch()\n    return a.f()\n" + PLAIN + "== core/b.py\n"
        "from boldflow.core import a\ndef patch():\n    a.f = lambda: 2\n",
        *("core/b.py", "lambda: 2", "lambda: 3"),
    ),
    "environment": Case(
        "import os\nfrom boldflow.core import b\ndef run():\n    return os.environ.get('X')\n== core/b.py\nimport os\n"
        "os.environ['X'] = '1'\n",
        *("core/b.py", "'1'", "'2'"),
    ),
    "map at import": Case(
        "from boldflow.core import a, b\ndef run():\n    return a.ALL\n== core/a.py\nALL = []\n== core/b.py\n"
        "from boldflow.core.a import ALL\ndef put(x):\n    ALL.append(x)\nDONE = list(map(put, [1]))\n",
        *("core/b.py", "[1]", "[2]"),
    ),
    "key of sorted at import": Case(
        "from boldflow.core import a, b\ndef run():\n    return a.ALL\n== core/a.py\nALL = []\n== core/b.py\n"
        "from boldflow.core.a import ALL\ndef put(x):\n    ALL.append(x)\n    return x\nDONE = sorted([1], key=put)\n",
        *("core/b.py", "ALL.append(x)", "ALL.append(-x)"),
    ),
    "property at import": Case(
        "from boldflow.core import a, b\ndef run():\n    return a.ALL\n== core/a.py\nALL = []\n== core/b.py\n"
        "from boldflow.core.a import ALL\nclass C:\n    @property\n    def n(self):\n        ALL.append(1)\n"
        "X = C()\nY = X.n\n",
        *("core/b.py", "append(1)", "append(2)"),
    ),
    "operator at import": Case(
        "from boldflow.core import a, b\ndef run():\n    return a.ALL\n== core/a.py\nALL = []\n== core/b.py\n"
        "from boldflow.core.a import ALL\nclass C:\n    def __add__(self, x):\n        ALL.append(1)\n"
        "X = C()\nY = X + 1\n",
        *("core/b.py", "append(1)", "append(2)"),
    ),
    "post_init at import": Case(
        "from boldflow.core import a, b\ndef run():\n    return a.ALL\n== core/a.py\nALL = []\n== core/b.py\n"
        "from dataclasses import dataclass\nfrom boldflow.core.a import ALL\n@dataclass\nclass C:\n    n: int\n"
        "    def __post_init__(self):\n        ALL.append(self.n)\nX = C(1)\n",
        *("core/b.py", "C(1)", "C(2)"),
    ),
    "set_name at import": Case(
        "from boldflow.core import a, b\ndef run():\n    return a.ALL\n== core/a.py\nALL = []\n== core/b.py\n"
        "from boldflow.core.a import ALL\nclass D:\n    def __set_name__(self, owner, name):\n        ALL.append(1)\n"
        "class C:\n    d = D()\n",
        *("core/b.py", "append(1)", "append(2)"),
    ),
    "loop at import": Case(
        "from boldflow.core.a import TABLE\ndef run():\n    return TABLE\n== core/a.py\nTABLE = {}\n"
        "for i in range(2):\n"
        "    TABLE[i] = 1\n",
        *("core/a.py", "= 1", "= 2"),
    ),
    "order of assignments": Case(
        "from boldflow.core.a import Y\ndef run():\n    return Y\n== core/a.py\nX = 1\nY = X\nX = 2\n",
        *("core/a.py", "Y = X\nX = 2", "X = 2\nY = X"),
    ),
    "order of assignments around a call": Case(
        "from boldflow.core.a import Y\ndef run():\n    return Y\n== core/a.py\ndef f():\n"
        "    return globals().get('X')\n"
        "Y = f()\nX = 1\n",
        *("core/a.py", "Y = f()\nX = 1", "X = 1\nY = f()"),
    ),
    "conditional definition": Case(
        FROM + "== core/a.py\nFAST = True\nif FAST:\n    def f():\n        return 1\nelse:\n    def f():\n"
        "        return 2\n",
        *("core/a.py", "FAST = True", "FAST = False"),
    ),
    "definition in try": Case(
        FROM
        + "== core/a.py\ntry:\n    import nothing_of_that_name\nexcept ImportError:\n    def f():\n        return 1\n",
        *("core/a.py", "return 1", "return 2"),
    ),
    "import of a module that acts, by a module that is only loaded": Case(
        "import os\nfrom boldflow.core import a\ndef run():\n    return os.environ.get('X')\n== core/a.py\n"
        "from boldflow.core import b\n== core/b.py\nimport os\nos.environ['X'] = '1'\n",
        *("core/b.py", "'1'", "'2'"),
    ),
    # records: what only makes values does not count where nobody names it
    "record that nobody names": Case(
        FROM + "== core/a.py\nfrom dataclasses import dataclass\n@dataclass(frozen=True)\nclass R:\n    n: int\n"
        "ALL = (R(1), R(2))\nLABELS = {r.n: r for r in ALL}\ndef f():\n    return 0\n",
        *("core/a.py", "R(2))", "R(2), R(3))", False),
    ),
    "member of an enum that nobody names": Case(
        FROM + "== core/a.py\nfrom enum import Enum\nclass E(Enum):\n    A = 'a'\nUSED = {E.A: 1}\nOTHER = {E.A: 2}\n"
        "def f():\n    return len(USED)\n",
        *("core/a.py", "OTHER = {E.A: 2}", "OTHER = {E.A: 3}", False),
    ),
    # what no name tells
    "eval": Case(
        FROM + "== core/a.py\ndef f():\n    return eval('g()')\ndef g():\n    return 1\n",
        "core/a.py",
        "return 1",
        "return 2",
    ),
    "exec at import": Case(
        FROM + "== core/a.py\ndef g():\n    return 1\nexec('def f():\\n    return g()')\n",
        *("core/a.py", "return 1", "return 2"),
    ),
    "globals": Case(
        FROM + "== core/a.py\ndef f():\n    return globals()['g']()\ndef g():\n    return 1\n",
        *("core/a.py", "return 1", "return 2"),
    ),
    "vars": Case(
        USES
        + "== core/a.py\nimport sys\ndef f():\n    return vars(sys.modules[__name__])['g']()\ndef g():\n    return 1\n",
        *("core/a.py", "return 1", "return 2"),
    ),
    "import_module": Case(
        FROM + "== core/a.py\nimport importlib\ndef f():\n    return importlib.import_module('boldflow.core.b').g()\n"
        "== core/b.py\ndef g():\n    return 1\n",
        *("core/b.py", "return 1", "return 2"),
    ),
    "sys.modules": Case(
        "from boldflow.core import a, b\ndef run():\n    return a.f()\n== core/a.py\n"
        "from sys import modules\ndef f():\n"
        "    return modules['boldflow.core.b'].g()\n== core/b.py\ndef g():\n    return 1\n",
        *("core/b.py", "return 1", "return 2"),
    ),
    "pickle": Case(
        FROM + "== core/a.py\nimport pickle\nfrom boldflow.core import b\ndef f():\n"
        "    return pickle.loads(b'cboldflow.core.b\\ng\\n.')()\n== core/b.py\ndef g():\n    return 1\n",
        *("core/b.py", "return 1", "return 2"),
    ),
    "eval of a network is no eval": Case(
        "class Network:\n    def eval(self):\n        return 1\ndef run():\n    return Network().eval()\n"
        "def other():\n    return 2\n",
        *("stages/job.py", "return 2", "return 3", False),
    ),
    "types of fields": Case(
        "import dataclasses\nfrom boldflow.core.a import R\ndef run():\n"
        "    return [field.type().n for field in dataclasses.fields(R)]\n== core/a.py\nimport dataclasses\n"
        "class Part:\n    n = 1\n@dataclasses.dataclass\nclass R:\n    part: Part\n",
        *("core/a.py", "n = 1", "n = 2"),
    ),
    "docstring that is read": Case(
        FROM + "== core/a.py\ndef f():\n    'old'\n    return f.__doc__\n", "core/a.py", "'old'", "'new'"
    ),
    "annotation alone": Case(
        FROM + "== core/a.py\nfrom boldflow.core.b import B\ndef f(x: B | None = None):\n    return 1\n== core/b.py\n"
        "class B:\n    n = 1\n",
        *("core/b.py", "n = 1", "n = 2", False),
    ),
    "import for types alone": Case(
        FROM + "== core/a.py\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from boldflow.core import b\n"
        "def f():\n    return 1\n== core/b.py\nimport os\nos.environ['X'] = '1'\n",
        *("core/b.py", "'1'", "'2'", False),
    ),
    "text beside its module": Case(
        FROM + "== core/a.py\nfrom pathlib import Path\ndef f():\n"
        "    return Path(__file__).with_suffix('.html').read_text()\n"
        "== core/a.html\nold\n",
        *("core/a.html", "old", "new"),
    ),
    "text beside another module": Case(FROM + PLAIN + "== core/b.html\nold\n", "core/b.html", "old", "new", False),
}


@pytest.mark.parametrize("name", CASES)
def test_an_edit_shows_in_the_digest_exactly_where_it_changes_what_the_job_prints(tmp_path, name):
    case = CASES[name]
    root = case.write(tmp_path)
    before, digests_before = printed(tmp_path), digests(root)
    case.edit(root)
    assert (printed(tmp_path) != before) is case.other, "the case is not what it says"
    assert (digests(root) != digests_before) is case.other


def test_a_plugin_of_a_package_counts_what_it_gives_again(tmp_path):
    case = Case(
        FROM
        + PLAIN
        + "== models/m/__init__.py\nfrom boldflow.models.m.fitting import fit\nfrom boldflow.models.m import io\n"
        "== models/m/fitting.py\ndef fit():\n    return 1\n== models/m/io.py\ndef read():\n    return 3\n"
        "== models/m/other.py\ndef g():\n    return 5\n",
        *("models/m/fitting.py", "return 1", "return 2"),
    )
    root = case.write(tmp_path)
    roots = ("boldflow.stages.job:run", "boldflow.models.m:*")
    before = digests(root, *roots)
    assert {"boldflow.models.m.fitting:fit", "boldflow.models.m.io:read"} <= set(before)
    assert "boldflow.models.m.other:g" not in before
    case.edit(root)
    assert digests(root, *roots) != before
