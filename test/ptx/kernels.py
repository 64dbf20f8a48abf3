"""The kernels that cases run, by name: kt.kernel operations of .mlir files, written out, which kt-opt reads as they are."""
import glob
import os
import re

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'kernels')
KERNEL = re.compile(r'^kt\.kernel @(\w+) .*?^\}$', re.M | re.S)


class Library:
    """`aliases` are what the files define beside kernels, lines such as `#mk = affine_map<...>`."""

    def __init__(self, paths):
        self.aliases, self.texts = {}, {}
        for path in paths:
            with open(path) as f:
                text = f.read()
            for m in KERNEL.finditer(text):
                if m[1] in self.texts:
                    raise SystemExit(f'{path}: there is another kernel @{m[1]}')
                self.texts[m[1]] = m[0]
            for line in KERNEL.sub('', text).splitlines():
                if not line.strip() or line.startswith('//'):
                    continue
                name = line.split(' = ')[0]
                if not re.fullmatch(r'[#!]\w+', name) or self.aliases.setdefault(name, line) != line:
                    raise SystemExit(f'{path}: expected kernels and aliases that no other file has but got: {line}')

    def module(self, names):
        """The text of a module of kernels; `names` says of each, by the name that it gets there, which one it is."""
        kernels = [self.texts[kernel].replace(f'@{kernel} ', f'@{name} ', 1) for name, kernel in names.items()]
        return '\n'.join([*self.aliases.values(), *kernels]) + '\n'


CASES = Library(sorted(glob.glob(f'{FOLDER}/*.mlir')))
