"""libktrt.so's language models through ctypes: library.py LIBKTRT FOLDER, where the folder has the artifacts that library.test compiles."""
import ctypes
import json
import subprocess
import sys
from ctypes import POINTER, Structure, byref, c_char_p, c_double, c_float, c_int, c_int32, c_int64, c_uint32, c_uint64, c_void_p

import numpy as np

OK, FAILED, USAGE = 0, 1, 2
F32, I64 = 0, 10
PROMPT = [3, 5, 7, 11, 13]
ON_TOKEN = ctypes.CFUNCTYPE(c_int, c_uint64, c_int64, c_void_p)


def structure(kind, /, **fields):
    return type(kind, (Structure,), {'_fields_': list(fields.items())})


Tensor = structure('Tensor', name=c_char_p, type=c_int, rank=c_uint32, dims=POINTER(c_int64), data=c_void_p)
State = structure('State', input=c_int32, grows=c_int32, written=c_int32)
Options = structure('Options', device=c_char_p, threads=c_uint32, device_memory=c_uint64, no_graphs=c_int)
Ports = structure('Ports', ids=c_char_p, mask=c_char_p, positions=c_char_p, logits=c_char_p)
GeneratorOptions = structure('GeneratorOptions', ports=Ports, capacity=c_uint64, plain=c_int, draft=c_void_p, draft_ports=Ports, vocabulary=c_uint64, pool=c_void_p, check_numerics=c_int)
Sampling = structure('Sampling', temperature=c_float, top_k=c_uint32, top_p=c_float, seed=c_uint64)
Request = structure('Request', prompt=POINTER(c_int64), prompt_count=c_uint64, streams=c_uint64, prompt_counts=POINTER(c_uint64), pad=c_int, max_new=c_uint64, sampling=Sampling, stop=POINTER(c_int64), stop_count=c_uint64,
                    piece=c_uint64, guesses=c_uint32, lookup=c_uint32, ahead=c_int, on_token=ON_TOKEN, context=c_void_p, tokens=POINTER(c_int64), room=c_uint64, counts=POINTER(c_uint64))
Result = structure('Result', count=c_uint64, seconds_to_first=c_double, seconds=c_double, tokens_per_second=c_double, runs=c_uint64, guessed=c_uint64,
                   accepted=c_uint64)

lib = ctypes.CDLL(sys.argv[1])
for name in 'last_error', 'genai_config_artifact':
    getattr(lib, 'kt_' + name).restype = c_char_p
for name in 'generator_held', 'generator_capacity', 'generator_vocabulary', 'session_held', 'session_capacity', 'genai_config_context_length':
    getattr(lib, 'kt_' + name).restype = c_uint64


def expect(got, wanted, what=''):
    if got != wanted:
        raise SystemExit(f'{what}: got {got!r}, expected {wanted!r} ({lib.kt_last_error().decode()})')


def refused(status, message, code=USAGE):
    expect((status, lib.kt_last_error().decode()), (code, message))


def load(path):
    model = c_void_p()
    expect(lib.kt_model_load(path.encode(), byref(Options(b'host', 2, 0, 0)), byref(model)), OK, path)
    return model


def ints(values):
    return (c_int64 * len(values))(*values)


def request(prompt, count, /, **more):
    r = Request(prompt=ints(prompt), prompt_count=len(prompt), max_new=count, tokens=ints([-1] * count), room=count)
    for name, value in more.items():
        setattr(r, name, value)
    return r


class Generator:
    def __init__(self, model, **options):
        self.handle = c_void_p()
        expect(lib.kt_generator_create(model, byref(GeneratorOptions(**options)), byref(self.handle)), OK, options)

    def generate(self, prompt, count, /, **more):
        r, result = request(prompt, count, **more), Result()
        expect(lib.kt_generator_generate(self.handle, byref(r), byref(result)), OK, 'generate')
        self.result = result
        return r.tokens[:result.count] if r.tokens else []

    def refuses(self, message, prompt, count, code=USAGE, /, **more):
        held, result = self.held(), Result(count=7)
        refused(lib.kt_generator_generate(self.handle, byref(request(prompt, count, **more)), byref(result)), message, code)
        expect((self.held(), result.count), (held, 0), message)

    def fork(self):
        other = Generator.__new__(Generator)
        other.handle = c_void_p()
        expect(lib.kt_generator_fork(self.handle, byref(other.handle)), OK, 'fork')
        return other

    def held(self):
        return lib.kt_generator_held(self.handle)

    def truncate(self, length):
        return lib.kt_generator_truncate(self.handle, c_uint64(length))

    def reset(self):
        expect(lib.kt_generator_reset(self.handle), OK)

    def free(self):
        lib.kt_generator_free(self.handle)


def check_ways(model, wanted, draft):
    """Buffers and callbacks, figures, pieces, guesses, requests that follow one another."""
    g = Generator(model, capacity=60)
    expect((lib.kt_generator_capacity(g.handle), lib.kt_generator_vocabulary(g.handle), g.held()), (60, 48, 0))
    expect(g.generate(PROMPT, 30), wanted)
    r = g.result
    expect((r.count, r.runs, r.guessed, r.accepted, g.held()), (30, 29, 0, 0, 34))
    if not 0 < r.seconds_to_first < r.seconds or abs(r.tokens_per_second * (r.seconds - r.seconds_to_first) - 29) > 1e-6:
        raise SystemExit(f'{r.seconds_to_first} {r.seconds} {r.tokens_per_second}')
    g.reset()
    expect(g.held(), 0)
    seen = []
    stop = ON_TOKEN(lambda stream, token, context: seen.append((stream, token, context)) or len(seen) < 3)
    expect(g.generate(PROMPT, 30, on_token=stop, context=77, tokens=None, room=0, piece=2) or seen, [(0, token, 77) for token in wanted[:3]], 'callback')
    expect(g.held(), 7)
    expect(g.generate([], 27), wanted[3:], 'goes on with the latest token')
    g.reset()
    expect(g.generate(PROMPT, 30, stop=ints([wanted[5]]), stop_count=1), wanted[:wanted.index(wanted[5]) + 1], 'stop')
    g.reset()
    expect(g.generate(PROMPT, 0), [], 'only reads')
    expect(g.held(), 5)
    g.free()
    g = Generator(model, draft=draft)
    expect(g.generate(PROMPT, 30, guesses=4), wanted, 'draft')
    expect((g.result.runs, g.result.guessed, g.result.accepted), (6, 23, 23))
    # What the draft has read is not what the state holds now.
    expect(g.truncate(6), OK)
    expect(g.generate(wanted[1:2], 5, guesses=3), wanted[2:7])
    f = g.fork()
    expect(f.generate([], 10, guesses=2), wanted[7:17], 'a fork with a draft')
    expect(g.generate([], 10, guesses=4), wanted[7:17], 'what was forked')
    expect(g.truncate(2), OK)
    expect(g.generate([20, 21], 12, guesses=3), Generator(model).generate(PROMPT[:2] + [20, 21], 12), 'something else')
    expect((g.result.guessed, g.result.accepted), (8, 8), 'the draft has read something else as well')
    f.free(), g.free()
    g = Generator(model, plain=1)
    expect(g.generate(PROMPT, 30), wanted, 'plain')
    refused(g.truncate(3), 'cannot keep the first 3 of 34 tokens: the caches are not in place')
    refused(lib.kt_generator_fork(g.handle, byref(c_void_p())), 'the session keeps no state: it was created without a capacity')
    g.free()


def check_state(model, wanted):
    """Truncated, forked, interleaved, full."""
    g = Generator(model, capacity=34)
    expect(g.generate(PROMPT, 10), wanted[:10])
    other = Generator(model, capacity=17)
    f = g.fork()
    for at in range(10, 20, 5):
        expect(g.generate([], 5), wanted[at:at + 5], 'what was forked')
        expect(f.generate([], 5), wanted[at:at + 5], 'fork')
        expect(other.generate(PROMPT, 5), wanted[:5], 'another one')
        other.reset()
    g.reset()
    expect((g.held(), f.held()), (0, 24))
    refused(f.truncate(25), 'cannot keep the first 25 of 24 tokens')
    expect(f.truncate(8), OK)
    expect(f.held(), 8)
    expect(f.generate(wanted[3:4], 5), wanted[4:9], 'truncated')
    # Full: nothing has happened, and what fits is done.
    f.refuses('the prompt of 1 tokens and 23 new ones do not fit: there is room for 21 of 34', [], 23 - 0)
    expect(f.generate([], 21), wanted[9:30], 'what fits')
    expect(f.held(), 34)
    f.refuses('the prompt of 1 tokens and 1 new ones do not fit: there is room for 0 of 34', [], 1)
    f.refuses(f'the prompt of 2 tokens and {2**64 - 1} new ones do not fit: there is room for 0 of 34', [4], 0, max_new=2**64 - 1, tokens=None)
    expect(f.truncate(33), OK)
    expect(f.generate(wanted[28:29], 1), wanted[29:30])
    for one in g, f, other:
        one.free()


def check_bad_requests(model, draft, folder):
    g = Generator(model, capacity=20)
    g.refuses('the prompt has no tokens', [], 5)
    g.refuses('token 1 of the prompt is 48, expected 0 to 47', [3, 48], 5)
    g.refuses('token 0 of the prompt is -1, expected 0 to 47', [-1], 5)
    g.refuses(f'token 2 of the prompt is {2**32 + 3}, expected 0 to 47', [3, 4, 2**32 + 3], 5)
    g.refuses('the temperature is nan, expected at least 0', [3], 5, sampling=Sampling(temperature=float('nan')))
    g.refuses('the temperature is -1.000000, expected at least 0', [3], 5, sampling=Sampling(temperature=-1))
    g.refuses('top-p is 1.500000, expected 0 to 1', [3], 5, sampling=Sampling(temperature=1, top_p=1.5))
    g.refuses('the memory for tokens has room for 4, expected at least 5', [3], 5, room=4)
    g.refuses('the prompt is null', [3], 5, prompt=None)
    g.refuses('the list of stop tokens is null', [3], 5, stop_count=2)
    g.refuses(f'the prompt has {2**62} tokens, expected at most {2**32}', [3], 5, prompt_count=2**62)
    g.refuses('guesses need a temperature of 0 and caches in place', [3], 5, guesses=2, sampling=Sampling(temperature=1))
    lib.kt_generator_cancel(g.handle)  # nothing runs: the next request hears of it
    g.refuses('the run was cancelled', [3], 5, FAILED)
    expect(g.generate(PROMPT, 5), Generator(model).generate(PROMPT, 5), 'after all that')
    g.free()

    def create(message, **options):
        handle = c_void_p(5)
        refused(lib.kt_generator_create(options.pop('of', model), byref(GeneratorOptions(**options)), byref(handle)), message)
        expect(handle.value, None)

    create("the model has no input 'tokens'", ports=Ports(ids=b'tokens'))
    create("the model has no output 'scores'", ports=Ports(logits=b'scores'))
    create("no input is called 'input_ids': it is not known where tokens go", of=load(f'{folder}/none.ktm'))
    create('the vocabulary is said to have 47 tokens, but the model\'s logits have 48', vocabulary=47)
    create('the draft: its vocabulary has 61 tokens, but the model\'s 48', draft=load(f'{folder}/grown.ktm'))
    create('the draft: its state cannot go back to what it was before a guess: each run replaces a part of it', of=load(f'{folder}/grown.ktm'),
           draft=load(f'{folder}/hybrid.ktm'))
    create("the draft: the model has no input 'tokens'", draft=draft, draft_ports=Ports(ids=b'tokens'))
    for status in (lib.kt_generator_create(None, None, byref(c_void_p())), lib.kt_generator_create(model, None, None), lib.kt_generator_generate(None, None, None),
                   lib.kt_generator_fork(None, None), lib.kt_generator_truncate(None, c_uint64(0)), lib.kt_generator_reset(None),
                   lib.kt_genai_config_read(None, None), lib.kt_genai_config_options(None, None), lib.kt_genai_config_request(None, None)):
        expect(status, USAGE)
    lib.kt_generator_cancel(None), lib.kt_generator_free(None), lib.kt_genai_config_free(None)
    expect((lib.kt_generator_held(None), lib.kt_genai_config_artifact(None)), (0, b''))


def check_cancelled(model, wanted, stays, **options):
    """A request that ends on its way leaves the state as it was, or, where there is no way back, none."""
    g = Generator(model, **options)
    expect(g.generate(PROMPT, 6), wanted[:6])
    seen = []
    cancel = ON_TOKEN(lambda stream, token, context: seen.append(token) or len(seen) < 4 or lib.kt_generator_cancel(g.handle) is not None)
    refused(lib.kt_generator_generate(g.handle, byref(request([], 9, on_token=cancel)), None), 'the run was cancelled', FAILED)
    expect((seen, g.held()), (wanted[6:10], 10 if stays else 0), options)
    if not stays:
        g.refuses('the prompt has no tokens', [], 4)
    expect(g.generate([] if stays else PROMPT, 12), wanted[6:18] if stays else wanted[:12], options)
    g.free()


def check_config(folder, wanted):
    """What the file says, and nothing of what it does not say."""
    with open(f'{folder}/genai_config.json', 'w') as file:
        json.dump({'model': {'eos_token_id': [wanted[4]], 'vocab_size': 48, 'context_length': 99, 'decoder': {'filename': 'model.onnx', 'inputs': {'input_ids': 'input_ids'}}},
                   'search': {'chunk_size': 2}}, file)
    config, options, r = c_void_p(), GeneratorOptions(capacity=40), request(PROMPT, 30, guesses=3)
    expect(lib.kt_genai_config_read(folder.encode(), byref(config)), OK)
    expect(lib.kt_genai_config_artifact(config), f'{folder}/model.ktm'.encode())
    expect(lib.kt_genai_config_context_length(config), 99)
    expect((lib.kt_genai_config_options(config, byref(options)), lib.kt_genai_config_request(config, byref(r))), (OK, OK))
    expect((options.ports.ids, options.ports.mask, options.vocabulary, options.capacity), (b'input_ids', None, 48, 40))
    expect((r.piece, r.stop[:r.stop_count], r.guesses, r.sampling.temperature), (2, [wanted[4]], 3, 0))
    g, result = c_void_p(), Result()
    expect(lib.kt_generator_create(load(f'{folder}/model.ktm'), byref(options), byref(g)), OK)
    expect(lib.kt_generator_generate(g, byref(r), byref(result)), OK)
    expect(r.tokens[:result.count], wanted[:wanted.index(wanted[4]) + 1])
    lib.kt_generator_free(g), lib.kt_genai_config_free(config)
    refused(lib.kt_genai_config_read(f'{folder}/nowhere'.encode(), byref(config)), f"no .ktm is in '{folder}/nowhere'; ktc compile {folder}/nowhere/model.onnx makes one")


class Session:
    """Of the model whose caches grow: mobius_llama."""

    def __init__(self, model, capacity):
        self.model, self.handle = model, c_void_p()
        expect(lib.kt_session_create_with_state(model, c_uint64(capacity), byref(self.handle)), OK)

    def run(self, tokens, **more):
        """The status; the likeliest token is left in self.next."""
        feeds = {'input_ids': np.array([tokens]), 'position_ids': np.arange(self.held(), self.held() + len(tokens))[None], **more}
        made = (Tensor * len(feeds))()
        for tensor, (name, value) in zip(made, feeds.items()):
            value = np.ascontiguousarray(value)
            feeds[name] = value
            tensor.name, tensor.type, tensor.rank = name.encode(), I64 if value.dtype == np.int64 else F32, value.ndim
            tensor.dims, tensor.data = ints(value.shape), value.ctypes.data
        status = lib.kt_session_run(self.handle, made, len(feeds))
        for i in range(lib.kt_model_output_count(self.model) if status == OK else 0):
            output = Tensor()
            expect(lib.kt_session_output(self.handle, i, byref(output)), OK)
            if output.name == b'logits':
                shape = output.dims[:output.rank]
                logits = np.ctypeslib.as_array(ctypes.cast(output.data, POINTER(c_float)), shape)
                self.next = int(logits[0, -1].argmax())
        return status

    def held(self):
        return lib.kt_session_held(self.handle)

    def write(self, tokens, count):
        out = []
        while len(out) < count:
            expect(self.run(tokens), OK, 'run')
            tokens = [self.next]
            out += tokens
        return out


def check_sessions(folder):
    model = load(f'{folder}/grown.ktm')
    ties = [State() for _ in range(lib.kt_model_output_count(model))]
    for i, tie in enumerate(ties):
        expect(lib.kt_model_output_state(model, i, byref(tie)), OK)
    grows = [tie for tie in ties if tie.input >= 0]
    port = Tensor()
    expect(lib.kt_model_input(model, grows[0].input, byref(port)), OK)
    expect((len(grows), grows[0].grows, grows[0].written, port.name), (len(ties) - 1, 2, -1, b'past_key_values.0.key'))
    refused(lib.kt_model_output_state(model, len(ties), byref(State())), f'port {len(ties)} but there are {len(ties)}')

    wanted = Generator(model).generate(PROMPT, 12)
    s = Session(model, 10)
    expect((s.held(), lib.kt_session_capacity(s.handle)), (0, 10))
    expect(s.write(PROMPT, 4), wanted[:4])
    expect(s.held(), 8)
    full = ": 8 of 10 are taken, 2 more fit but this run adds 3"
    refused(s.run([1, 2, 3]), f"input 'past_key_values.0.key', which the session keeps{full}")
    expect(s.held(), 8)
    other = Session.__new__(Session)
    other.model, other.handle = model, c_void_p()
    expect(lib.kt_session_fork(s.handle, byref(other.handle)), OK)
    for one in s, other:
        expect(one.write(wanted[3:4], 2), wanted[4:6], 'the state is unharmed')
    refused(s.run([1]), f"input 'past_key_values.0.key', which the session keeps: 10 of 10 are taken, 0 more fit but this run adds 1")
    refused(lib.kt_session_truncate(s.handle, c_uint64(11)), 'cannot keep the first 11 of 10')
    expect(lib.kt_session_truncate(s.handle, c_uint64(6)), OK)
    expect(s.write(wanted[1:2], 3), wanted[2:5], 'truncated')
    expect(lib.kt_session_reset(s.handle), OK)
    expect((s.held(), other.held()), (0, 10))
    expect(s.write(PROMPT, 4), wanted[:4])
    # A token that is none, in a run of its own.
    expect(s.run([99]), FAILED)
    expect(s.held(), 8)
    expect(s.write(wanted[3:4], 2), wanted[4:6], 'after a fault')
    # Caches that are not this model's.
    cache = np.zeros((1, 2, 0, 8), np.float32)
    refused(s.run([1], **{'past_key_values.0.key': cache}), "input 'past_key_values.0.key' is given, but the session keeps it")
    plain = Session(model, 0)
    refused(lib.kt_session_fork(plain.handle, byref(c_void_p())), 'the session keeps no state: it was created without a capacity')
    refused(lib.kt_session_reset(plain.handle), 'the session keeps no state: it was created without a capacity')
    caches = {f'past_key_values.{i}.{kind}': cache for i in range(len(grows) // 2) for kind in ('key', 'value')}
    expect(plain.run(PROMPT, **caches), OK)
    expect(plain.next, wanted[0])
    for shape, dtype in (((1, 3, 0, 8), 'f4'), ((1, 2, 0, 16), 'f4'), ((2, 0, 8), 'f4'), ((1, 2, 0, 8), 'i8')):
        expect(plain.run(PROMPT, **{**caches, 'past_key_values.0.key': np.zeros(shape, dtype)}), USAGE, shape)
        if b"past_key_values.0.key'" not in lib.kt_last_error() or b'expected' not in lib.kt_last_error() and b'has rank 3' not in lib.kt_last_error():
            raise SystemExit(lib.kt_last_error())
    refused(lib.kt_session_create_with_state(load(f'{folder}/none.ktm'), c_uint64(5), byref(c_void_p())),
            'a capacity is given but the model keeps no state: no output of it continues an input')
    for one in s, other, plain:
        lib.kt_session_free(one.handle)


def check_other_states(folder, artifact):
    """Caches of fixed size, and states of which only the latest is there."""
    model = load(f'{folder}/{artifact}.ktm')
    wanted = Generator(model).generate(PROMPT, 20)
    g = Generator(model, capacity=24)
    expect(g.generate(PROMPT, 10), wanted[:10])
    f = g.fork()
    expect((g.generate([], 10), f.generate([], 10)), (wanted[10:], wanted[10:]), f'{artifact} forked')
    f.refuses('the prompt of 1 tokens and 2 new ones do not fit: there is room for 0 of 24', [], 2)
    if artifact == 'hybrid':
        expect((g.truncate(9), g.held()), (USAGE, 24))
    else:
        expect(g.truncate(9), OK)
        expect(g.generate(wanted[4:5], 15), wanted[5:], f'{artifact} truncated')
    check_cancelled(model, wanted, False, capacity=30)
    g.reset()
    expect(g.generate(PROMPT, 20), wanted, f'{artifact} anew')
    g.refuses('token 0 of the prompt is 61, expected 0 to 60', [61], 2)


def main(folder):
    run = subprocess.run(['ktrun', 'generate', f'{folder}/model.ktm', '--device', 'host', '--tokens', ','.join(map(str, PROMPT)), '--max-new', '30', '--format', 'json'],
                         capture_output=True, text=True, check=True)
    wanted = json.loads(run.stdout)['tokens']
    model, draft = load(f'{folder}/model.ktm'), load(f'{folder}/draft.ktm')
    gone = load(f'{folder}/model.ktm')
    g = Generator(gone, capacity=34, draft=gone)
    lib.kt_model_free(gone)
    expect(g.generate(PROMPT, 30, guesses=2), wanted, 'the model may go first')
    g.free()
    check_ways(model, wanted, draft)
    check_state(model, wanted)
    check_bad_requests(model, draft, folder)
    check_cancelled(model, wanted, True)
    check_cancelled(model, wanted, True, draft=draft)
    check_cancelled(model, wanted, False, plain=1)
    check_config(folder, wanted)
    check_sessions(folder)
    check_other_states(folder, 'static')
    check_other_states(folder, 'hybrid')


if __name__ == '__main__':
    main(sys.argv[2])
