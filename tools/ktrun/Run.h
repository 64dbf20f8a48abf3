//===- Run.h - ktrun MODEL ------------------------------------------------===//

#ifndef KT_TOOLS_KTRUN_RUN_H
#define KT_TOOLS_KTRUN_RUN_H

namespace ktrun {

/// `ktrun MODEL ..`: runs, measures or tunes. Answers the exit status; messages are written.
int run(int argc, char **argv);

} // namespace ktrun

#endif
