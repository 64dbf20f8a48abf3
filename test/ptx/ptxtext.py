"""PTX text to instructions, with labels resolved and the blocks of inline assembly opened up."""
import re
from ptxtypes import DEVICE, REG, PtxError, size_of

WARPGROUP = 128


class Instruction:
    __slots__ = ('op', 'parts', 'args', 'pred', 'negate', 'run', 'text', 'where', 'early')

    def __str__(self):
        return f'"{self.text}"' + (f' built at {self.where}' if self.where else '')


def names_in(x):
    """The operands of a vector {a, b, ...}; one operand is a vector of itself."""
    return [y.strip() for y in x.strip('{}').split(',')]


def instruction(statement, names, where):
    """`names`: what registers of the block that it stands in are called."""
    m = re.match(r'(?:@(!?)([%\w]+) )?(\S+)\s*(.*)', statement)
    i = Instruction()
    i.text, i.negate, i.pred, i.op, i.where, i.early = statement, m[1] == '!', names.get(m[2], m[2]), m[3], where, False
    i.parts = i.op.split('.')
    i.args = [x.strip() for x in re.split(r',\s*(?![^{]*\})', m[4])] if m[4] else []
    if names:
        i.args = [re.sub(r'(?<![%\w.$])[A-Za-z_]\w*', lambda n: names.get(n[0], n[0]), x) for x in i.args]
    return i


class Code:
    """One .entry: its code with labels resolved. Where there are line tables, instructions know what built them."""

    def __init__(self, text):
        self.name = re.search(r'\.entry (\w+)', text)[1]
        start = text.index('.entry')
        align = re.search(r'\.shared \.align (\d+)', text[:start])
        self.shared_align = int(align[1]) if align else 1024
        head, body = text[start:text.index('{', start)], text[text.index('{', start) + 1:text.rindex('}')]
        self.params = re.findall(r'\.param \.([usbf]\d+)', head)
        self.threads = int(re.search(r'\.reqntid (\d+)', head)[1])
        self.launched_in_clusters = '.explicitcluster' in head
        if '.local' in body:
            raise PtxError('uses local memory')
        body = re.sub(r'//[^\n]*', '', body)
        files = dict(re.findall(r'^\s*\.file\s+(\d+) "([^"]*)"', text, re.M))
        body, where = re.sub(r'^\s*(\.loc\s[^\n]*)$', r'\1;', body, flags=re.M), None
        self.registers, self.code, self.labels = {}, [], {}
        for m in re.finditer(r'\.reg \.(\w+)\s+(%\w+)<(\d+)>;', body):
            for i in range(int(m[3])):
                self.registers[f'{m[2]}{i}'] = REG[m[1]]
        scopes = [{}]  # the registers that each open block of inline assembly declares, and what they are called here
        for statement in body.split(';'):
            statement = ' '.join(statement.split())
            while m := re.match(r'(\$\w+):\s*|[{}]\s*', statement):
                if m[1]:
                    self.labels[m[1]] = len(self.code)
                elif m[0][0] == '{':
                    scopes.append(dict(scopes[-1]))
                else:
                    scopes.pop()
                statement = statement[m.end():]
            if m := re.match(r'\.reg \.(\w+) ([\w ,]+)$', statement):
                for name in m[2].replace(' ', '').split(','):
                    scopes[-1][name] = f'%{name}.{len(self.registers)}'
                    self.registers[scopes[-1][name]] = REG[m[1]]
            elif statement.startswith('.loc '):
                _, file, line, *_ = statement.split()
                where = f'{files[file]}:{line}' if line != '0' else None
            elif statement and statement[0] != '.':
                self.code.append(instruction(statement, scopes[-1], where))
        self.summarise()

    def check_start(self):
        """Before the label behind which a kernel may read what launches before it wrote, it reads weights, or states, and writes nothing. What it copies, and where it looks pages up, is
        marked, for the machine to see from where that is."""
        wait = self.labels.get('$kt_wait', 0)
        for i in self.code[:wait]:
            i.early = i.op.startswith('cp.async.cg') or i.op == 'ld.global.b32'
            memory = 'global' in i.parts and not i.early and not i.op.startswith('ld.global.nc.L1::no_allocate')
            if memory or i.parts[0] in ('atom', 'red', 'ret', 'bar') or (i.parts[0] == 'bra' and self.labels[i.args[0]] > wait):
                raise PtxError(f'{i.op} before $kt_wait')

    def summarise(self):
        """What the machine wants to know before it runs anything."""
        self.fences = any(i.parts[0] in ('membar', 'fence') and i.parts[-1] in DEVICE for i in self.code)
        self.mbarriers = any(i.parts[0] == 'mbarrier' for i in self.code)
        self.clusters = any(i.parts[:2] == ['barrier', 'cluster'] or i.parts[0] == 'mapa' or 'shared::cluster' in i.parts for i in self.code)
        self.check_start()
        self.smallest_shared = 4
        for i in self.code:
            if 'shared' in i.op and i.parts[0] in ('ld', 'st', 'atom'):
                self.smallest_shared = min(self.smallest_shared, size_of(i.parts[-1]))
        # Registers that products of warpgroups work on while other instructions run.
        self.asynchronous = {x for i in self.code if i.op.startswith('wgmma.mma_async') for a in i.args[:2] if a[0] == '{' for x in names_in(a)}
        if self.asynchronous and self.threads % WARPGROUP:
            raise PtxError(f'products of warpgroups in a block of {self.threads} threads')
