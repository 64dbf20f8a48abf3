"""Processes that answer a line with a line. One that dies is reported for the task that it died of and started anew; the others go on."""
import queue
import subprocess
import threading


class Worker:
    def __init__(self, command):
        self.command, self.process = command, None

    def ask(self, line, timeout):
        """The answer, or None and why there is none."""
        if self.process is None:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")
            self.said = []
            threading.Thread(target=self.listen, args=(self.process.stderr, self.said), daemon=True).start()
        late = threading.Timer(timeout, self.process.kill)
        late.start()
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except OSError:  # it died before it read the line
            answer = ""
        expired = not late.is_alive()
        late.cancel()
        if answer.endswith("\n"):
            return answer[:-1], None
        status = self.close()
        why = f"no answer within {timeout} s" if expired else f"killed by signal {-status}" if status < 0 else f"exit status {status}"
        return None, f"{why}: {' '.join(self.said[-3:]).strip()}"

    @staticmethod
    def listen(stream, lines):
        for line in stream:
            lines.append(line.strip())
            del lines[:-20]

    def close(self):
        if self.process is None:
            return 0
        process, self.process = self.process, None
        try:
            process.stdin.close()
        except OSError:
            pass
        try:
            return process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def ask_all(command, lines, jobs, timeout=60, spoilt=lambda answer: False):
    """Asks each line of one of `jobs` processes; answers {line: (answer, why there is none)}. After a `spoilt` answer a process is started anew."""
    waiting, answers = queue.SimpleQueue(), {}
    for line in lines:
        waiting.put(line)

    def serve():
        worker = Worker(command)
        while True:
            try:
                line = waiting.get_nowait()
            except queue.Empty:
                break
            answers[line] = worker.ask(line, timeout)
            if spoilt(answers[line][0]):
                worker.close()
        worker.close()

    threads = [threading.Thread(target=serve) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
