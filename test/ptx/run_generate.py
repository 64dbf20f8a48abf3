#!/usr/bin/env python3
"""Has language models write in the PTX interpreter, over a driver that does each piece of work as late as it may, and compares with the host:
run_generate.py BUILD FOLDER[:KVCACHE]...

Each folder's model is compiled with `--sample greedy` and `--sample drawn`. What the device chooses, or draws for the same seed, is what the host does, while runs begin
before the tokens of those before have been looked at, and also where the last one is one too many; so do caches in pages, a model whose draft it is itself, and one that reads
several prompts at once. KVCACHE is how sessions keep caches: int8, or as the model does."""
import concurrent.futures
import ctypes
import json
import os
import subprocess
import sys
import tempfile
import fake_device

PROMPT, COUNT = '3,5,7,11,13', 5
LONG = ','.join(str(1 + 7 * i % 40) for i in range(126))  # what follows it is in a second page
MANY = ','.join(str(1 + 7 * i % 40) for i in range(300))  # of which two blocks read a share
SEVERAL = ['--tokens', PROMPT, '--tokens', '4,6,8', '--tokens', '20,1,9,33']
DRAWS = ['--temperature', '1.5', '--top-k', '20', '--top-p', '0.9', '--seed', '6']


class Device:
    def __init__(self, build):
        self.gpu = fake_device.Gpu(build)
        self.library = ctypes.CDLL(f'{build}/lib/libkt_generate.so')

    def calls(self, name):
        return self.gpu.driver.fakeCudaCalls(name.encode())

    def generate(self, arguments):
        """What ktrun generate prints, on the interpreter's GPU."""
        words = [w.encode() for w in ['generate', *arguments, '--device', 'cuda:0']]
        self.gpu.wrong = None
        with tempfile.TemporaryFile() as out:
            stdout = os.dup(1)
            os.dup2(out.fileno(), 1)
            try:
                status = self.library.ktrunGenerate(len(words), (ctypes.c_char_p * (len(words) + 1))(*words, None))
            finally:
                os.dup2(stdout, 1)
                os.close(stdout)
            self.gpu.check(self.gpu.wrong is not None)
            if status:
                raise AssertionError(f'{arguments}: exit status {status}')
            if self.gpu.driver.fakeCudaViolations():
                raise AssertionError('the runtime did what no correct user of the driver does')
            out.seek(0)
            return json.loads(out.read())


def attempt(build, folder):
    """What is wrong, or None; and what was done."""
    device = Device(build)
    folder, _, caches = folder.partition(':')
    with tempfile.TemporaryDirectory() as work:
        for kind in 'greedy', 'drawn':
            artifact = f'{work}/{kind}.ktm'
            compiled = subprocess.run([f'{build}/bin/ktc', 'compile', f'{folder}/model.onnx', '-o', artifact, '--target', 'sm_89', '--sample', kind, *(['--kv-cache', caches] if caches else [])],
                                      capture_output=True, text=True)
            if compiled.returncode:
                return compiled.stderr.strip(), ''
            options = ['--max-new', str(COUNT), '--format', 'json', *(DRAWS if kind == 'drawn' else [])]
            usual, several = [artifact, '--tokens', PROMPT, *options], [artifact, *SEVERAL, *options]
            by_host = []
            in_pages = ([artifact, '--tokens', LONG, '--piece', '90', *options],) if kind == 'greedy' and 'optimum' in folder else ()
            for arguments in usual, several, *in_pages:
                host = subprocess.run([f'{build}/bin/ktrun', 'generate', *arguments, '--device', 'host'], capture_output=True, text=True)
                if host.returncode:
                    return host.stderr.strip(), ''
                by_host.append(json.loads(host.stdout))
            wanted = by_host[0]['tokens']
            # Those that transformers exports read all prompts in one run when the shorter ones are padded.
            for more in [[], ['--pad']] if kind == 'greedy' and 'optimum' in folder else [[]]:
                made = device.generate(several + more)
                if made['tokens'] != by_host[1]['tokens'] or made['tokens'][0] != wanted or made['runs'] != (COUNT - 1 if more else by_host[1]['runs']):
                    return f'{kind} {several} {more}: {made} instead of {by_host[1]}', ''
            for arguments in in_pages:
                made = device.generate(arguments + ['--pages', '2'])
                if made['tokens'] != by_host[2]['tokens']:
                    return f'{kind} {arguments} in pages: {made} instead of {by_host[2]}', ''
            stop = wanted[2]
            ways = [([], wanted), (['--stop', str(stop)], wanted[:wanted.index(stop) + 1])] + [(['--pages', '2'], wanted)] * ('static' not in folder)
            for more, tokens in ways + ([(['--ahead', '0'], wanted), (['--plain'], wanted), (['--draft', artifact, '--guess', '3'], wanted)] if kind == 'greedy' else []):
                recorded = device.calls('cuGraphInstantiateWithFlags')
                try:
                    made = device.generate(usual + more)
                except AssertionError as e:
                    return f'{kind} {more}: {e}', ''
                recorded = device.calls('cuGraphInstantiateWithFlags') - recorded
                # Odd and even lengths have kernels of their own; the prompt's run may be a graph, and a step is the same one each time.
                if not more and recorded > 2:
                    return f'{kind}: {recorded} graphs were recorded for {COUNT} tokens', ''
                if made['tokens'] != tokens or made['held'] != len(PROMPT.split(',')) + len(tokens) - 1:
                    return f'{kind} {more}: {made} instead of {tokens}', ''
        if 'optimum' in folder and not caches:
            if wrong := in_clusters(build, folder, device, work):
                return wrong, ''
    return None, f'{device.gpu.launches} launches'


def in_clusters(build, folder, device, work):
    """In half precision a token reads so many keys that shares of them meet in a cluster, where the GPU has those."""
    artifact = f'{work}/clusters.ktm'
    subprocess.run([f'{build}/bin/ktc', 'compile', f'{folder}/model.onnx', '-o', artifact, '--target', 'sm_89,sm_90a,host', '--precision', 'fp16', '--sample', 'greedy', '--candidates', 'all'], check=True)
    arguments = [artifact, '--tokens', MANY, '--max-new', str(COUNT), '--format', 'json']
    wanted = json.loads(subprocess.run([f'{build}/bin/ktrun', 'generate', *arguments, '--device', 'host'], check=True, capture_output=True, text=True).stdout)['tokens']
    device.gpu.clusters.clear()
    made = device.generate(arguments)['tokens']
    if made != wanted or max(device.gpu.clusters) < 2:
        return f'in clusters of {device.gpu.clusters}: {made} instead of {wanted}'
    return None


def main(build, folders):
    right = 0
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        jobs = [(os.path.basename(folder), pool.submit(attempt, build, folder)) for folder in folders]
        for name, job in jobs:
            try:
                wrong, done = job.result()
            except Exception as e:  # such as a process that was killed
                wrong, done = f'{type(e).__name__}: {e}', ''
            right += wrong is None
            print(f'ok   {name}: {done}' if wrong is None else f'FAIL {name}: {wrong}', flush=True)
    print(f'{right} of {len(folders)} models right')
    return 0 if right == len(folders) > 0 else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], sys.argv[2:]))
