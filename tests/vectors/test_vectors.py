#!/usr/bin/env python3
"""Python's reader and the verifier in Python over the shared vectors."""
import json, pathlib, subprocess, sys, tempfile, unittest

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))
from reader import Refused, canonical, client, foreign, is_blank, omission, verify_audit  # noqa: E402

read = lambda name: json.loads((HERE / name).read_text(encoding="utf-8"))
VECTORS = read("text.json")


def said(reader, vector, word, reason):
    data = bytes.fromhex(vector["hex"]) if "hex" in vector else vector["text"]
    try:
        return {"canonical": canonical(reader(data))}
    except Refused as fault:
        return {word: reason(fault)}


class Vectors(unittest.TestCase):
    def test_there_are_as_many_as_promised(self):
        self.assertGreaterEqual(len(VECTORS["json"]), 300)

    def test_they_are_what_the_generator_writes(self):
        subprocess.run([sys.executable, HERE / "generate.py", "--check"], check=True, stdout=subprocess.DEVNULL)

    def test_a_client_is_read_strictly(self):
        for vector in VECTORS["json"]:
            with self.subTest(vector["name"]):
                self.assertEqual(said(client, vector, "refused", str), vector["client"])

    def test_what_others_wrote_is_shown_or_omitted(self):
        for vector in VECTORS["json"]:
            with self.subTest(vector["name"]):
                self.assertEqual(said(foreign, vector, "omitted", omission), vector["foreign"])

    def test_a_text_is_blank_or_not(self):
        for vector in VECTORS["blank"]:
            with self.subTest(ascii(vector["text"])):
                self.assertEqual(is_blank(vector["text"]), vector["blank"])

    def test_a_text_is_as_long_as_its_code_points(self):
        for vector in VECTORS["length"]:
            self.assertEqual(len(vector["text"]), vector["code_points"], ascii(vector["text"]))
        for vector in VECTORS["cut"]:
            self.assertEqual(vector["text"][: vector["at_most"]], vector["cut"])

    def test_a_chain_is_its_owners_and_whole_or_it_is_a_fault(self):
        for chain in read("chains.json")["chains"]:
            with self.subTest(chain["name"]), tempfile.TemporaryDirectory() as directory:
                file = pathlib.Path(directory, "answer.json")
                file.write_text(json.dumps({"records": chain["records"], "head": chain["head"]}), encoding="utf-8")
                (field, name), = chain["owner"].items()
                option = "--chain" if field == "chain" else "--job"
                done = subprocess.run([sys.executable, verify_audit.__file__, file, option, name], capture_output=True, text=True)
                self.assertEqual(done.returncode == 0, chain["fault"] is None, done.stdout + done.stderr)
                if chain["fault"]:
                    self.assertIn(f"record {chain['place']}", done.stderr)


if __name__ == "__main__":
    unittest.main()
