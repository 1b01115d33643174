"""Makes parallel.json: what GNU parallel makes of templates and inputs, for the tests of package command.

    apt-get install parallel   # GNU parallel 20221122
    python3 parallel.py > parallel.json

Each case is run twice: with --dry-run for the lines that it prints (not where an input has a line feed), and
for the arguments that the program really gets. Templates of several words are run with --quote, since they go
to the program as they are in Parade. Exact: all strings are compared byte by byte.

Not compared, because Parade differs on purpose (tests in Go say what it does instead):
- {} within quotes, where GNU parallel adds its own quotes: "{}" becomes "'a b'";
- {} as a part of a word with several arguments: one word here, several words there;
- linked sources of different lengths: an error here;
- carriage returns before line feeds: cut here;
- words with line feeds, which GNU parallel divides there;
- {/} and {//} of names with line feeds, which Perl's . does not match;
- $ or a backslash before a brace: the shell's own here;
- lines of another number of columns than the header: an error here;
- --csv, whose module is not a part of GNU parallel.
"""
import json
import os
import subprocess
import sys
import tempfile

VERSION = "20221122"

ENV = {"PATH": os.environ["PATH"], "HOME": tempfile.mkdtemp(), "LC_ALL": "C.UTF-8"}
os.makedirs(ENV["HOME"] + "/.parallel")
open(ENV["HOME"] + "/.parallel/will-cite", "w").close()

ARGV = ENV["HOME"] + "/argv"
with open(ARGV, "w") as f:
    f.write("#!%s\nimport json, os, sys\nprint(json.dumps([os.fsencode(a).decode('utf-8', 'backslashreplace') for a in sys.argv[1:]]))\n" % sys.executable)
os.chmod(ARGV, 0o755)

version = subprocess.run(["parallel", "--version"], env=ENV, capture_output=True, text=True).stdout
assert version.startswith("GNU parallel " + VERSION), version


def parallel(options, words, sources):
    args = ["parallel", "-k", "-j1"] + options + words
    files = []
    for s in sources:
        link = "+" if s.get("link") else ""
        if "words" in s:
            args += [":::" + link] + s["words"]
        else:
            path = os.path.join(ENV["HOME"], "list%d" % len(files))
            with open(path, "w", newline="") as f:
                f.write(s["text"])
            files.append(path)
            args += ["::::" + link, path]
    done = subprocess.run(args, env=ENV, stdin=subprocess.DEVNULL, capture_output=True)
    assert not done.stderr, (args, done.stderr)
    return done.stdout.decode()


cases = []


def case(name, template, *sources, **how):
    """template: a list of words, or the text of a shell."""
    shell = isinstance(template, str)
    options = [] if shell else ["--quote"]
    if how.get("header"):
        options += ["--header", ":"]
    if how.get("colsep"):
        options += ["--colsep", how["colsep"]]
    if how.get("null"):
        options += ["--null"]
    if how.get("skip_empty"):
        options += ["--no-run-if-empty"]
    if how.get("pack"):
        options += ["-N", str(how["pack"])]
    sources = [s if isinstance(s, dict) else {"words": list(s)} for s in sources]
    out = {"name": name, "template": [template] if shell else template, "shell": shell, "sources": sources, **how}
    if not how.get("null"):
        words = [template] if shell else template
        out["lines"] = parallel(options + ["--dry-run"], words, sources).splitlines()
    words = [template.replace("echo", ARGV)] if shell else [ARGV] + template[1:]
    printed = parallel(options, words, sources)
    out["argv"] = [json.loads(line) for line in printed.splitlines()]
    cases.append(out)


def text(t, **how):
    return {"text": t, **how}


NASTY = ["a", "b c", "d'e", "'", "''", "'x'", '"', "", "$x", "$(id)", "`id`", "\\", "\\n", "a\\", "-x", "--", "~", "~root", "a=b", "x,y", "*", "?", "[a]", "{a,b}", "{}",
         "#x", "!x", "a;b", "a&b", "a|b", "<", ">", "(", "ü", "日本 語", "\t", " ", "  lead", "trail ", "%", "@", ":", "^", "2"]
PATHS = ["a.b.c", "/a.b/c", "d/e/f.nii.gz", "d.x/e", "d.x/e.f", "/", "//", "a/", "a/b/", ".bashrc", "a/.bashrc", "a.", ".", "..", "/a", "/a.b", "./a.b", "a//b", "a//b//", "//a",
         ".a.b", "a..b", "...", "", " ", "a b/c d.e f", "x.tar.gz/", "ü.ü", "-r.x", "a.b/", "a.nii.gz", "/.x", "./.x.y"]
EDITS = ["{}", "{.}", "{/}", "{//}", "{/.}"]

case("nothing to replace", ["echo"], NASTY)
case("alone", ["echo", "{}"], NASTY)
case("within a word", ["echo", "pre{}post"], NASTY)
case("twice in a word", ["echo", "{}{}", "{}:{}"], NASTY)
case("edits of nasty words", ["echo"] + EDITS, NASTY)
for edit in EDITS:
    case("paths " + edit, ["echo", edit, "<" + edit + ">"], PATHS)
    case("shell, paths " + edit, "echo " + edit + " x" + edit + "y", PATHS)
case("line feeds", ["echo", "{}", "x{}"], text("a\nb\0\n\0a\n\0\na\0"), null=True)
case("literal words", ["echo", "a b", "$x", "'", "", "*", "{}", "\"", "~", "#"], ["a", "b c"])
case("braces that are none", ["echo", "{", "}", "{x}", "{ }", "{1", "{{}}", "{}}", "{{1}}", "{,}", "{print $1}", "{-}", "{+1}", "{/x}", "{///}", "{..x}"], ["a", "b c"])
case("shell, braces that are none", "echo { } {x} { } {1 {{}} {}} {{1}} {-}", ["a", "b c"])
case("number", ["echo", "{#}"], ["a", "b", "c"])
case("number and slot", ["echo", "{#}-{%}", "{}"], ["a", "b c"])
case("slot alone", ["echo", "{%}"], ["a", "b"])
case("two sources", ["echo"], ["a", "b c"], ["1", "2 2"])
case("two sources, alone", ["echo", "{}", "-", "{.}", "{/}"], ["a.x", "b c.x"], ["p/1", "2 2"])
case("three sources", ["echo", "{1}", "{2}", "{3}"], ["a", "b"], ["1", "2"], ["x", "y"])
case("positions", ["echo", "{2}", "{1}", "{2}{1}", "<{1}>"], ["a", "b c"], ["1", "2 2"])
case("edits of positions", ["echo", "{1.}", "{2/}", "{2//}", "{2/.}", "{1/.}", "{2.}"], ["a.x", "b.y/c"], ["p/q.z", "r"])
case("positions from the end", ["echo", "{-1}", "{-2}", "{-1.}", "{-2/}"], ["a.x", "b/c"], ["p/q.z"])
case("missing positions", ["echo", "{3}", "{1}{3}", "<{3}>", "{2}"], ["a"], ["1"])
case("shell, missing positions", "echo {3} {1}{3} {2}", ["a"], ["1"])
case("empty argument is no missing one", ["echo", "{1}", "{2}", "{3}"], ["a", ""], ["", "b"])
case("linked", ["echo"], ["1", "2", "3"], {"words": ["a", "b", "c"], "link": True})
case("linked and product", ["echo"], ["1", "2", "3"], {"words": ["a", "b", "c"], "link": True}, ["x", "y"])
case("product and linked", ["echo"], ["x", "y"], ["1", "2"], {"words": ["a", "b"], "link": True})
case("three linked", ["echo", "{3}", "{2}", "{1}"], ["1", "2"], {"words": ["a", "b"], "link": True}, {"words": ["x", "y"], "link": True})
case("files", ["echo"], text("x\ny z\n"), text("1\n2\n"))
case("file and words", ["echo"], text("x\ny z\n"), ["1", "2"])
case("linked files", ["echo"], text("x\ny\n"), text("1\n2\n", link=True))
case("last line without end", ["echo", "{}"], text("a\nb"))
case("empty lines", ["echo", "{}"], text("a\n\nb\n\n"))
case("empty lines left out", ["echo", "{}"], text("a\n\n \nb\n\n"), skip_empty=True)
case("blanks are kept", ["echo", "{}"], text(" a\nb \n\tc\n"))
case("NUL", ["echo", "{}"], text("a b\0c\nd\0e"), null=True)
case("carriage return kept with NUL", ["echo", "{}"], text("a\r\0b\r\n\0"), null=True)
case("columns", ["echo", "{2}", "{1}", "{}"], text("a,b\nc d,e\n"), colsep=",")
case("columns, blanks cut", ["echo", "<{2}>", "<{1}>"], text("a , b\n c,\td \n"), colsep=",")
case("columns, tab", ["echo", "{2}", "{1}"], text("a\tb\nc d\te\n"), colsep=r"\t")
case("columns, white space", ["echo", "{1}", "{2}", "{3}"], text("a  b\tc\n d e\n"), colsep=r"\s+")
case("columns, set", ["echo", "{1}", "{2}", "{3}"], text("a,b;c\nd,e\n"), colsep="[,;]")
case("columns, several characters", ["echo", "{2}"], text("a::b\nc::d:e\n"), colsep="::")
case("columns, empty ones", ["echo", "{1}", "{2}", "{3}"], text(",,\na,,c\n,b,\n"), colsep=",")
case("columns of words", ["echo", "{1}", "{2}", "{3}", "{4}"], ["a,b", "c"], ["1,2", "3"], colsep=",")
case("columns and another file", ["echo", "{1}", "{2}", "{3}", "{}"], text("a,b\nc,d\n"), text("x\ny\n"), colsep=",")
case("columns linked", ["echo", "{3}", "{2}", "{1}"], text("a,b\nc,d\n"), text("x\ny\n", link=True), colsep=",")
case("header of words", ["echo", "{x}", "{m}", "{1}", "{}"], ["x", "1.z", "2"], ["m", "3", "4 4"], header=True)
case("header, edits", ["echo", "{x.}", "{x/}", "{x//}", "{x/.}"], ["x", "p/1.z", "2"], header=True)
case("header of columns", ["echo", "{b}", "{a}", "{a.}", "{2/}", "{c}"], text("a,b\nc.x,d/y\n e , f\n"), header=True, colsep=",")
case("header of a file", ["echo", "{subject}", "{session}"], text("subject\n01\n02\n"), text("session\n1\n2\n"), header=True)
case("packs", ["echo"], ["a", "b", "c d", "e", "f"], pack=2)
case("packs, alone", ["echo", "{}", "-", "{.}"], ["a.x", "b", "c d.y", "e", "f"], pack=2)
case("packs, positions", ["echo", "{2}", "{1}"], ["a", "b", "c d", "e", "f"], pack=2)
case("packs of two sources", ["echo", "{1}", "{2}", "{3}", "{4}", "{}"], ["a", "b"], ["1", "2"], pack=3)
case("packs of lines", ["echo"], text("a\nb\n\nd\ne\n"), pack=3)
case("packs larger than the list", ["echo"], ["a", "b"], pack=9)
case("shell", "echo {}; echo {/}", NASTY[:1] + ["b c", "d'e/f"])
case("shell, nasty", "echo {}", NASTY)
case("shell, nasty within a word", "echo x{}y --in={}", NASTY)
case("shell, nothing to replace", "echo a; echo b", ["c", "d e"])
case("shell, product", "echo {2} {1} | cat; echo {}", ["a", "b c"], ["1", "2"])
case("shell, command substitution", "echo $(printf %s {})", ["a", "b", "d'e", "$(id)"])
case("shell, number in quotes", "echo \"{#}\" '{#}'", ["a", "b"])
case("shell, double quotes elsewhere", "echo \"a b\" {} 'c d' {}", NASTY[:12])
case("shell, redirection", "echo {} >/dev/null; echo {} 2>/dev/null", ["a", "b c"])

json.dump({"version": VERSION, "cases": cases}, sys.stdout, ensure_ascii=True, indent=0, separators=(",", ":"))
print()
