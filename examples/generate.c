/* Generates tokens with a compiled language model, through the C interface of libktrt.so:
 *
 *     generate-example MODEL 1,2,3 COUNT      MODEL: a .ktm, or a folder with one and, if there is one,
 * genai_config.json
 *
 * Prints each token as soon as it is known, then how long that took. Build it elsewhere with
 *
 *     cc generate.c -Iinclude -Llib -lktrt -o generate-example
 */
#include "kt/c_generate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TOKENS = 1024 };

/* The prompt from "1,2,3"; 0 where that is something else. */
static uint64_t parse_tokens(const char *text, int64_t *tokens) {
  uint64_t count = 0;
  for (char *end; count < MOST_TOKENS; text = end + 1) {
    tokens[count++] = strtoll(text, &end, 10);
    if (end == text || (*end && *end != ','))
      return 0;
    if (!*end)
      return count;
  }
  return 0;
}

static int print_token(uint64_t stream, int64_t token, void *context) {
  (void)stream; /* there is one */
  uint64_t *printed = context;
  printf("%s%" PRId64, (*printed)++ ? "," : "", token);
  fflush(stdout);
  return 1; /* 0 would end it here */
}

static int is_artifact(const char *path) {
  size_t length = strlen(path);
  return length > 4 && strcmp(path + length - 4, ".ktm") == 0;
}

/* A kt_status; kt_last_error says what went wrong. */
static int generate(const char *path, const int64_t *prompt, uint64_t prompt_count, uint64_t count) {
  kt_genai_config *config = NULL;
  kt_model *model = NULL;
  kt_generator *generator = NULL;
  kt_generator_options options = {0};
  kt_generate_request request = {0};
  kt_generate_result result;
  uint64_t printed = 0;

  /* What the folder says comes first, what is wanted here stands. */
  int status = is_artifact(path) ? KT_OK : kt_genai_config_read(path, &config);
  if (status == KT_OK && config) {
    status = kt_genai_config_options(config, &options);
    if (status == KT_OK)
      status = kt_genai_config_request(config, &request);
    path = kt_genai_config_artifact(config);
  }
  options.capacity = prompt_count + count;
  request.prompt = prompt;
  request.prompt_count = prompt_count;
  request.max_new = count;
  request.on_token = print_token;
  request.context = &printed;

  if (status == KT_OK)
    status = kt_model_load(path, NULL, &model);
  if (status == KT_OK)
    status = kt_generator_create(model, &options, &generator);
  if (status == KT_OK)
    status = kt_generator_generate(generator, &request, &result);
  if (status == KT_OK)
    printf("\nfirst token after %.3f ms, then %.1f tokens/s; %" PRIu64 " of %" PRIu64 " tokens are held\n",
           result.seconds_to_first * 1e3, result.tokens_per_second, kt_generator_held(generator),
           kt_generator_capacity(generator));
  kt_generator_free(generator);
  kt_model_free(model);
  kt_genai_config_free(config);
  return status;
}

int main(int argc, char **argv) {
  static int64_t prompt[MOST_TOKENS];
  uint64_t prompt_count = argc == 4 ? parse_tokens(argv[2], prompt) : 0;
  if (!prompt_count) {
    fprintf(stderr, "usage: generate-example MODEL 1,2,3 COUNT\n");
    return KT_USAGE;
  }
  int status = generate(argv[1], prompt, prompt_count, strtoull(argv[3], NULL, 10));
  if (status != KT_OK)
    fprintf(stderr, "error: %s\n", kt_last_error());
  return status;
}
