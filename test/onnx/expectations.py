"""expected-failures.txt: which cases are known not to be right, what is said then, and why.

    # The reason, in a sentence or a few.
    refused: words that the error has
      PATTERN [!PATTERN] [@WORD]...

The first word is the outcome: `refused` (by the compiler), `failed` (during the run) or `wrong` (other numbers than the reference). A pattern is a
shell's; `!` leaves out what another one takes in, `@1.22.0` keeps to the cases of one version of the package and `@cuda` or `@host` to one kind of
device. A case that is not right and that no block explains, a right one that a pattern takes in, and a pattern that takes in none are failures."""
import fnmatch
from dataclasses import dataclass, field

OUTCOMES = ("refused", "failed", "wrong")


@dataclass
class Pattern:
    glob: str
    words: list
    used: bool = False

    def __post_init__(self):
        self.only = {word[1:] for word in self.words if word[0] == "@"}
        self.left_out = [word[1:] for word in self.words if word[0] == "!"]

    def takes_in(self, case, facts):
        match = fnmatch.fnmatchcase
        return self.only <= facts and match(case, self.glob) and not any(match(case, other) for other in self.left_out)

    def __str__(self):
        return " ".join([self.glob, *self.words])


@dataclass
class Block:
    outcome: str
    text: str
    reason: str
    patterns: list = field(default_factory=list)


def read(path):
    blocks, reason = [], []
    for number, line in enumerate(open(path), 1):
        words = line.split()
        if not words:
            reason = []
        elif line.startswith("#"):
            reason.append(line[1:].strip())
        elif line[0] == " " and blocks:
            blocks[-1].patterns.append(Pattern(words[0], words[1:]))
        else:
            outcome, _, text = line.partition(":")
            if outcome not in OUTCOMES or not reason:
                raise SystemExit(f"{path}:{number}: expected a reason and then {', '.join(OUTCOMES)} with a colon but got '{line.strip()}'")
            blocks.append(Block(outcome, text.strip(), " ".join(reason)))
            reason = []
    return blocks


def explain(blocks, case, facts, outcome, message):
    """The block that explains an outcome, or None; a problem, or None."""
    block = None
    for b in blocks:
        for pattern in b.patterns:
            if not pattern.takes_in(case, facts):
                continue
            if outcome == "right":
                return None, f"is right but expected-failures.txt has '{pattern}'"
            if b.outcome == outcome and b.text in message:
                pattern.used, block = True, block or b
    return (block, None) if block or outcome == "right" else (None, f"{outcome}: {message}")


def unused(blocks, facts):
    """Patterns that took in nothing of what was run. `facts`: what was true of some case."""
    return [str(p) for b in blocks for p in b.patterns if not p.used and p.only <= facts]
