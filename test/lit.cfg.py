# What every lit test shares: formats, the programs on PATH, substitutions.
import os

import lit.formats

config.name = "ktc"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.recursiveExpansionLimit = 3
config.excludes = ["Inputs", "codegen", "e2e", "hostile", "models", "runtime"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = config.kt_test_dir
config.environment["PATH"] = os.pathsep.join([config.kt_bin_dir, config.llvm_tools_dir, config.environment["PATH"]])
# Sanitised programs report leaks of libraries that never free their registries.
config.environment["ASAN_OPTIONS"] = "detect_leaks=0"
config.substitutions.append(("%python", config.python))
config.substitutions.append(("%ktrt", os.path.join(config.kt_lib_dir, "libktrt.so")))
config.substitutions.append(("%models", os.path.join(config.test_source_root, "models")))
if config.kt_asan:
    config.available_features.add("asan")
examples = os.path.join(os.path.dirname(config.test_source_root), "examples")
config.substitutions.append(("%examples", examples))
