"""Language models by the Python package, held against `ktrun generate` on the model that has learnt a text."""
import json
import os
import shutil
import subprocess
import sys
import threading
import unittest

import artifacts
import ktransformers
import numpy as np

PROMPT = "And Moses said"


def ktrun(folder, tokens, *options):
    """The tokens that the command line tool generates; of several prompts, of each."""
    prompts = [f"--tokens={','.join(map(str, one))}" for one in tokens]
    done = subprocess.run([f"{artifacts.tools()}/ktrun", "generate", folder, "--device", "host", *prompts, "--format", "json", *options], capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(done.stderr)
    return json.loads(done.stdout)["tokens"]


class Learnt(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = artifacts.learnt()
        cls.model = ktransformers.Model(f"{cls.folder}/model.ktm", device="host", threads=2)
        cls.generator = ktransformers.Generator(cls.folder, device="host", threads=2)
        cls.prompt = cls.generator.tokenizer.encode(PROMPT).ids
        cls.greedy = ktrun(cls.folder, [cls.prompt], "--max-new", "24")

    def setUp(self):
        self.generator.reset()

    def refuses(self, message, *arguments, kind=ktransformers.UsageError, **options):
        with self.assertRaisesRegex(kind, message) as caught:
            self.generator.generate(*arguments, **options)
        return caught.exception


class Generates(Learnt):
    def test_what_the_tool_generates(self):
        got = ktransformers.generate(self.folder, PROMPT, max_new_tokens=24, device="host")
        self.assertEqual(got.tokens, self.greedy)
        self.assertEqual(got.text, self.generator.tokenizer.decode(self.greedy))
        self.assertGreater(got.tokens_per_second, 0)
        self.assertGreater(got.seconds, got.seconds_to_first)

    def test_ways_to_the_same_tokens(self):
        for options in ({"piece": 1}, {"piece": 3}, {"guesses": 4}, {"guesses": 3, "lookup": 1}, {"stop": []}, {"on_token": lambda *_: None}):
            with self.subTest(options):
                self.generator.reset()
                got = self.generator.generate(PROMPT, max_new_tokens=24, **options)
                self.assertEqual(got.tokens, self.greedy)
                self.assertLessEqual(got.accepted, got.guessed)
        drafted = ktransformers.Generator(self.folder, draft=self.folder, device="host").generate(PROMPT, max_new_tokens=24)
        self.assertEqual((drafted.tokens, drafted.accepted > 0), (self.greedy, True))
        plain = ktransformers.Generator(self.folder, in_place=False, device="host").generate(self.prompt, max_new_tokens=24)
        self.assertEqual(plain.tokens, self.greedy)
        pool = ktransformers.StatePool(self.model, 2)
        self.assertEqual(ktransformers.Generator(self.model, pool=pool, capacity=200).generate(self.prompt, max_new_tokens=24).tokens, self.greedy)

    def test_tokens_of_any_sequence(self):
        for prompt in (tuple(self.prompt), np.array(self.prompt), np.array(self.prompt, np.int32)):
            self.generator.reset()
            self.assertEqual(self.generator.generate(prompt, max_new_tokens=24).tokens, self.greedy)

    def test_what_is_drawn(self):
        options = {"temperature": 0.8, "top_k": 40, "top_p": 0.9}
        flags = ["--max-new", "16", "--temperature", "0.8", "--top-k", "40", "--top-p", "0.9"]
        texts = set()
        for seed in (1, 2):
            self.generator.reset()
            got = self.generator.generate(PROMPT, max_new_tokens=16, seed=seed, **options)
            self.assertEqual(got.tokens, ktrun(self.folder, [self.prompt], *flags, "--seed", str(seed)))
            texts.add(got.text)
        self.assertEqual(len(texts), 2)

    def test_several_prompts(self):
        prompts = [self.prompt, self.generator.tokenizer.encode("In the beginning God created the heaven").ids]
        want = ktrun(self.folder, prompts, "--max-new", "12")
        heard = [[], []]
        got = self.generator.generate(prompts, max_new_tokens=12, on_token=lambda token, stream: heard[stream].append(token))
        self.assertEqual((got.tokens, heard), (want, want))
        self.assertEqual(got.text, [self.generator.tokenizer.decode(stream) for stream in want])
        self.assertEqual(self.generator.streams, 2)
        self.refuses("stream", PROMPT)
        more = self.generator.generate(max_new_tokens=2)
        self.assertEqual([len(stream) for stream in more.tokens], [2, 2])

    def test_what_ends_it(self):
        at = next(i for i in range(3, 24) if self.greedy[i] not in self.greedy[:i])
        for stop in (self.greedy[at], [self.greedy[at]]):
            self.generator.reset()
            self.assertEqual(self.generator.generate(PROMPT, stop=stop).tokens, self.greedy[: at + 1])
        self.generator.reset()
        text = self.generator.tokenizer.decode(self.greedy)
        word = text.split()[6]
        got = self.generator.generate(PROMPT, stop=[word, "never written"])
        self.assertEqual(got.text, text[: text.index(word)])
        self.assertEqual(got.tokens, self.greedy[: len(got.tokens)])
        self.assertLess(len(got.tokens), 24)
        self.generator.reset()
        heard = []

        def three(token, _):
            heard.append(token)
            return len(heard) < 3

        self.assertEqual(self.generator.generate(PROMPT, on_token=three).tokens, self.greedy[:3])

    def test_requests_that_go_on(self):
        first = self.generator.generate(PROMPT, max_new_tokens=10)
        self.assertEqual(self.generator.held, len(self.prompt) + 9)
        other = self.generator.fork()
        self.assertEqual(first.tokens + self.generator.generate(max_new_tokens=14).tokens, self.greedy)
        self.assertEqual(other.held, len(self.prompt) + 9)
        self.assertEqual(other.generate(max_new_tokens=14).tokens, self.greedy[10:])
        other.truncate(len(self.prompt))
        self.assertEqual(other.generate(self.greedy[:1], max_new_tokens=3).tokens, self.greedy[1:4])
        with self.assertRaisesRegex(ktransformers.UsageError, "cannot keep the first 900 of"):
            other.truncate(900)


class Streams(Learnt):
    def test_pieces(self):
        for prompt, joined in ((PROMPT, "".join), (self.prompt, list)):
            self.generator.reset()
            with self.generator.stream(prompt, max_new_tokens=24) as stream:
                got = joined(list(stream))
            self.assertEqual(got, self.greedy if joined is list else self.generator.tokenizer.decode(self.greedy))
            self.assertEqual(stream.result.tokens, self.greedy)
            self.assertEqual(list(stream), [])

    def test_characters_of_several_tokens(self):
        text = "caf\u00e9 \u4e2d \U0001f600 end"
        ids = self.generator.tokenizer.encode(text).ids
        from ktransformers import _text
        shown = _text.Text(self.generator.tokenizer, [])
        pieces = [shown.add(token) for token in ids] + [shown.finish()]
        self.assertEqual("".join(pieces), self.generator.tokenizer.decode(ids))
        self.assertGreater(len(ids), sum(piece != "" for piece in pieces))
        self.assertFalse(any("\N{REPLACEMENT CHARACTER}" in piece for piece in pieces))
        cut = _text.Text(self.generator.tokenizer, ["end", "\U0001f600"])
        whole = self.generator.tokenizer.decode(ids)
        self.assertEqual("".join([cut.add(token) for token in ids]), whole[: whole.index("\U0001f600")])

    def test_a_text_that_ends_it(self):
        text = self.generator.tokenizer.decode(self.greedy)
        word = text.split()[6]
        self.assertEqual("".join(self.generator.stream(PROMPT, stop=word)), text[: text.index(word)])

    def test_ends_early(self):
        stream = self.generator.stream(self.prompt, max_new_tokens=500, stop=[])
        self.assertEqual([next(stream), next(stream)], self.greedy[:2])
        stream.close()
        self.assertLess(self.generator.held, len(self.prompt) + 499)
        self.generator.reset()
        for token in self.generator.stream(self.prompt, max_new_tokens=500, stop=[]):
            break
        self.generator.reset()  # waits for what is still generated
        self.assertEqual(self.generator.generate(PROMPT, max_new_tokens=24).tokens, self.greedy)

    def test_what_is_raised(self):
        stream = self.generator.stream([4096])
        with self.assertRaisesRegex(ktransformers.UsageError, "4096"):
            next(stream)
        self.assertEqual(list(stream), [])
        with self.assertRaisesRegex(ktransformers.UsageError, "2 prompts for one stream"):
            self.generator.stream([[1], [2]])
        with self.assertRaisesRegex(TypeError, "calls nobody"):
            self.generator.stream(PROMPT, on_token=print)

    def test_the_end_of_the_interpreter(self):
        code = ("import sys, ktransformers\n"
                "generator = ktransformers.Generator(sys.argv[1], device='host')\n"
                "stream = generator.stream([1, 2, 3], max_new_tokens=1000, stop=[])\n"
                "next(stream)\nprint('done')\n")
        out = subprocess.run([sys.executable, "-c", code, self.folder], capture_output=True, text=True, timeout=60)
        self.assertEqual((out.returncode, out.stdout, out.stderr), (0, "done\n", ""))


class Refuses(Learnt):
    def test_tokens_and_sizes(self):
        self.refuses("no tokens", [])
        self.refuses("prompt")
        self.refuses("4096", [4096])
        self.refuses("-1", [-1])
        self.refuses("1024", [1] * 1000, max_new_tokens=100)
        self.refuses("temperature", [1], temperature=-1.0)
        self.refuses("guesses", [1], guesses=2, temperature=0.5)
        self.refuses("is empty", PROMPT, stop="")
        for wrong in (3.5, [1.5], b"abc", [None]):
            with self.subTest(wrong), self.assertRaises(TypeError):
                self.generator.generate(wrong)
        with self.assertRaises(TypeError):
            self.generator.generate([1], max_new_tokens=-1)
        self.assertEqual(self.generator.held, 0)
        self.assertEqual(self.generator.generate(PROMPT, max_new_tokens=24).tokens, self.greedy)

    def test_models_that_generate_nothing(self):
        with self.assertRaises(ktransformers.UsageError):
            ktransformers.Generator(artifacts.add(), device="host")
        with self.assertRaisesRegex(ktransformers.UsageError, "ktc compile"):
            ktransformers.Generator(os.path.dirname(__file__), device="host")

    def test_texts_without_a_tokenizer(self):
        with self.assertRaisesRegex(ktransformers.UsageError, "a text needs a tokenizer, and a Model or an artifact alone has none"):
            ktransformers.Generator(self.model).generate(PROMPT)
        self.assertIsNone(ktransformers.Generator(self.model).generate(self.prompt, max_new_tokens=2).text)
        given = ktransformers.Generator(self.model, tokenizer=self.folder)
        self.assertEqual(given.generate(PROMPT, max_new_tokens=24).tokens, self.greedy)
        code = ("import sys; sys.modules['tokenizers'] = None\n"
                "import ktransformers\n"
                "generator = ktransformers.Generator(sys.argv[1], device='host')\n"
                "print(generator.generate([1, 2], max_new_tokens=1).text)\n"
                "try: generator.generate('And')\n"
                "except ktransformers.UsageError as e: print(e.status, e)\n")
        out = subprocess.run([sys.executable, "-c", code, self.folder], capture_output=True, text=True)
        self.assertEqual(out.stderr, "")
        self.assertEqual(out.stdout, "None\nusage a text needs the package 'tokenizers', which is not installed: pip install 'ktransformers[text]', or give tokens\n")

    def test_a_tokenizer_that_is_none(self):
        folder = os.path.join(os.path.dirname(self.folder), "damaged")
        shutil.copytree(self.folder, folder)
        with open(f"{folder}/tokenizer.json", "w") as f:
            f.write("{}")
        with self.assertRaisesRegex(ktransformers.FailedError, "is no tokenizer"):
            ktransformers.Generator(folder, device="host").generate(PROMPT)

    def test_what_the_callback_does(self):
        def raises(*_):
            raise LookupError("mine")

        def asks(*_):
            return self.generator.held

        self.refuses("mine", PROMPT, on_token=raises, kind=LookupError)
        self.refuses("used by what it calls", PROMPT, on_token=asks)
        self.generator.reset()
        error = self.refuses("cancel", PROMPT, on_token=lambda *_: self.generator.cancel(), kind=ktransformers.FailedError)
        self.assertEqual(error.status, "failed")
        self.generator.reset()
        self.assertEqual(self.generator.generate(PROMPT, max_new_tokens=24).tokens, self.greedy)

    def test_threads_take_turns(self):
        generators = [self.generator, self.generator.fork()]
        got = {}

        def work(number):
            got[number] = generators[number % 2].generate([5, 7, number], max_new_tokens=4).tokens

        threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([len(got[n]) for n in range(6)], [4] * 6)
        self.assertEqual(generators[0].held, 3 * 3 + 3 * 4 - 1)


if __name__ == "__main__":
    unittest.main()
