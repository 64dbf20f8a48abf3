/*===- c_generate.h - language models from C, token by token ---------------===*
 *
 * Generate.h is the same in C++ and says more of each thing. As in c_api.h, a function that can fail returns 0 or a
 * kt_status, kt_last_error says why, and structures are zero-initialised: a zero field means its default.
 *
 *   kt_generator_options options = {0};
 *   kt_generator *generator;
 *   kt_generator_create(model, &options, &generator);
 *   kt_generate_request request = {0};
 *   request.prompt = prompt, request.prompt_count = 3, request.max_new = 64, request.tokens = tokens, request.room =
 * 64; kt_generate_result result; kt_generator_generate(generator, &request, &result);
 *
 *===----------------------------------------------------------------------===*/

#ifndef KT_C_GENERATE_H
#define KT_C_GENERATE_H

#include "kt/c_api.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kt_generator kt_generator;
typedef struct kt_genai_config kt_genai_config;

/* The names of a model's ports; null: found by their usual names and shapes. */
typedef struct {
  const char *ids, *mask, *positions, *logits;
} kt_generation_ports;

typedef struct {
  kt_generation_ports ports;
  uint64_t capacity; /* tokens for which there is room; 0: 4096 */
  int plain;         /* 1: caches go in and out of each run instead of lying in place */
  kt_model *draft;   /* a smaller model of the same vocabulary that guesses; null: none. May be freed afterwards */
  kt_generation_ports draft_ports;
  uint64_t vocabulary; /* not 0: has to be what the model's logits say */
  kt_pool *pool;       /* where caches in place lie, a pool of the model; null: in memory of the generator's own */
  kt_numerics check_numerics; /* as in kt_session_check_numerics, of the draft as well */
} kt_generator_options;

/* With a temperature of 0 the likeliest token is taken. top_k 0: all are drawn from, and so with a top_p of 0. */
typedef struct {
  float temperature;
  uint32_t top_k;
  float top_p;
  uint64_t seed;
} kt_sampling;

/* Takes a token of a stream, 0 unless there are several, as soon as it is known; the stream ends where it answers 0. It
 * does not use the generator but to cancel. */
typedef int (*kt_on_token)(uint64_t stream, int64_t token, void *context);

typedef struct {
  const int64_t *prompt;         /* one, or those of several streams, one behind another */
  uint64_t prompt_count;         /* tokens of all of them; 0: what there is goes on */
  uint64_t streams;              /* prompts that the model reads side by side; 0: 1 */
  const uint64_t *prompt_counts; /* tokens of each; null: all have equally many */
  int pad;          /* 1: the shorter prompts begin with pads, where the model says the same behind them; 0: none do */
  uint64_t max_new; /* of each stream; 0: only reads the prompts */
  kt_sampling sampling;
  const int64_t *stop; /* ends behind one of these */
  uint64_t stop_count;
  uint64_t piece;   /* at most so many tokens of the prompt in one run; 0: all */
  uint32_t guesses; /* tokens to guess at once; 0: none */
  uint32_t lookup;  /* without a draft, from what followed so many equal tokens; 0: 2 */
  int ahead; /* whether a run begins before the token of the one before is looked at; 0: on a GPU, 1: yes, -1: no */
  kt_on_token on_token; /* may be null */
  void *context;
  int64_t *tokens;  /* where the new tokens go, those of stream i from i * max_new on; may be null */
  uint64_t room;    /* for max_new of each stream at least */
  uint64_t *counts; /* where it is said how many each stream has; may be null */
} kt_generate_request;

typedef struct {
  uint64_t count;           /* of new tokens, of all streams */
  double seconds_to_first;  /* from the request to the first token */
  double seconds;           /* all of it */
  double tokens_per_second; /* of all streams together, after the first */
  uint64_t runs;            /* of the model after the first token */
  uint64_t guessed, accepted;
} kt_generate_result;

/* *generator is the caller's, to be given to kt_generator_free; the model may go before it. `options` may be null.
 * Thread-safe; the generator itself serves one thread at a time. */
KT_C_API int kt_generator_create(kt_model *model, const kt_generator_options *options, kt_generator **generator);
KT_C_API void kt_generator_free(kt_generator *generator);
/* Reads the prompt behind what the state has and generates. `result` may be null; after a failure it is all 0, and the
 * state as Generator::generate says. */
KT_C_API int kt_generator_generate(kt_generator *generator, const kt_generate_request *request,
                                   kt_generate_result *result);
/* Ends the request in progress, or the next one where none is, with KT_FAILED. From any thread, as long as the
 * generator lives. Null is allowed. */
KT_C_API void kt_generator_cancel(kt_generator *generator);
/* Tokens that the state has of each stream, that it has room for, and that the model knows; streams that go on. */
KT_C_API uint64_t kt_generator_held(const kt_generator *generator);
KT_C_API uint64_t kt_generator_streams(const kt_generator *generator);
KT_C_API uint64_t kt_generator_capacity(const kt_generator *generator);
KT_C_API uint64_t kt_generator_vocabulary(const kt_generator *generator);
/* Forgets everything; all but the first `length` tokens of each stream. */
KT_C_API int kt_generator_reset(kt_generator *generator);
KT_C_API int kt_generator_truncate(kt_generator *generator, uint64_t length);
/* *fork is the caller's and goes on from a copy of the state. */
KT_C_API int kt_generator_fork(kt_generator *generator, kt_generator **fork);

/* What a folder's genai_config.json says, where it has one. *config is the caller's, to be given to
 * kt_genai_config_free. Thread-safe. */
KT_C_API int kt_genai_config_read(const char *folder, kt_genai_config **config);
KT_C_API void kt_genai_config_free(kt_genai_config *config);
/* The folder's artifact. Belongs to the configuration. */
KT_C_API const char *kt_genai_config_artifact(const kt_genai_config *config);
/* Tokens that prompt and answer may have together; 0: not said. */
KT_C_API uint64_t kt_genai_config_context_length(const kt_genai_config *config);
/* Sets the fields that the file says something of and leaves the others. Texts and lists belong to the configuration.
 * Ports and vocabulary; sampling, stop tokens and pieces. */
KT_C_API int kt_genai_config_options(const kt_genai_config *config, kt_generator_options *options);
KT_C_API int kt_genai_config_request(const kt_genai_config *config, kt_generate_request *request);

#ifdef __cplusplus
}
#endif

#endif
