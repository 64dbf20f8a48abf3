//===- Generate.h - ktrun generate ----------------------------------------===//

#ifndef KT_TOOLS_KTRUN_GENERATE_H
#define KT_TOOLS_KTRUN_GENERATE_H

#include "kt/Status.h"

namespace ktrun {

/// `ktrun generate ..`: `argv` begins with "generate". Answers the exit status; messages are written.
int generate(int argc, char **argv);

} // namespace ktrun

#endif
