/*===- c_api.h - run compiled models from C --------------------------------===*
 *
 * The C ABI of libktrt.so, with c_generate.h; Runtime.h is the same in C++. Handles are opaque. A function that can
 * fail returns 0 or a kt_status: the codes are the exit statuses of ktrun. Messages are read with kt_last_error, which
 * is the calling thread's own. A null handle or pointer where none is allowed gives KT_USAGE; counts give 0, texts "".
 *
 *===----------------------------------------------------------------------===*/

#ifndef KT_C_API_H
#define KT_C_API_H

#include <stdint.h>

#if defined(__GNUC__)
#define KT_C_API __attribute__((visibility("default")))
#else
#define KT_C_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kt_model kt_model;
typedef struct kt_session kt_session;
typedef struct kt_event kt_event;
typedef struct kt_pool kt_pool;

typedef enum { KT_OK = 0, KT_FAILED = 1, KT_USAGE = 2, KT_REJECTED = 4 } kt_status;

/* Element types; below 8 bits one byte an element. */
typedef enum {
  KT_F32,
  KT_F16,
  KT_BF16,
  KT_F64,
  KT_I8,
  KT_U8,
  KT_I16,
  KT_U16,
  KT_I32,
  KT_U32,
  KT_I64,
  KT_U64,
  KT_BOOL,
  KT_F8E4M3FN,
  KT_F8E4M3FNUZ,
  KT_F8E5M2,
  KT_F8E5M2FNUZ,
  KT_I4,
  KT_U4,
  KT_I2,
  KT_U2,
  KT_F4E2M1,
  KT_F8E8M0,
  KT_C64,
  KT_C128,
  KT_STRING
} kt_type;

/* A dense row-major tensor in host memory. Owns nothing. */
typedef struct {
  const char *name;
  kt_type type;
  uint32_t rank;
  const int64_t *dims;
  const void *data;
} kt_tensor;

/* Where memory is. KT_DEVICE is the GPU that the session runs on: a CUdeviceptr as a pointer. */
typedef enum { KT_HOST, KT_DEVICE } kt_memory;
typedef enum { KT_INPUT, KT_OUTPUT } kt_port;

/* What a run does with one of its inputs or outputs. Of an input `tensor` has all fields; of an output its name and,
 * unless the session owns it, its memory. Memory of the device begins at a multiple of 16 bytes. */
typedef struct {
  kt_port port;
  kt_memory memory; /* where tensor.data is, or is to be */
  kt_tensor tensor;
  uint64_t capacity; /* of an output that is given memory: its bytes; the runtime writes to tensor.data */
  int owned;         /* 1: an output that the session has memory for; tensor.data is null */
} kt_binding;

/* What an output has to do with an input that it continues, as caches do. -1: nothing, or no such dimension. */
typedef struct {
  int32_t input;   /* the input's number */
  int32_t grows;   /* the dimension in which the output goes on where the input ends, of both */
  int32_t written; /* the dimension along which an output of its input's size differs from it in a window */
} kt_state;

/* Zero-initialise; a zero field means its default. */
typedef struct {
  const char *device;     /* "auto" (default), "host", "cuda:N" */
  uint32_t threads;       /* of the host's pool; 0: all */
  uint64_t device_memory; /* bytes; 0: what is free */
  int no_graphs;          /* 1: never record repeated runs */
} kt_options;

/* The message of this thread's last failure; "" when there was none. Valid until the thread's next call. Thread-safe.
 */
KT_C_API const char *kt_last_error(void);
/* "0.1.0". Static. Thread-safe. */
KT_C_API const char *kt_version(void);

/* Loads an artifact. `options` may be null. On success *model is the caller's, to be given to kt_model_free.
 * Thread-safe. */
KT_C_API int kt_model_load(const char *path, const kt_options *options, kt_model **model);
/* Sessions keep what they need: the model may go before them. Null is allowed. */
KT_C_API void kt_model_free(kt_model *model);

/* Ports of a model. The strings and arrays belong to the model. Dimensions that are not constant are -1. Thread-safe;
 * out of range gives KT_USAGE. `data` of the result is null. */
KT_C_API uint32_t kt_model_input_count(const kt_model *model);
KT_C_API uint32_t kt_model_output_count(const kt_model *model);
KT_C_API int kt_model_input(const kt_model *model, uint32_t index, kt_tensor *port);
KT_C_API int kt_model_output(const kt_model *model, uint32_t index, kt_tensor *port);
/* What output `index` continues. */
KT_C_API int kt_model_output_state(const kt_model *model, uint32_t index, kt_state *state);
/* The device as people read it. Belongs to the model. Thread-safe. */
KT_C_API const char *kt_model_device(const kt_model *model);

/* *session is the caller's, to be given to kt_session_free. Thread-safe; the session itself serves one thread at a
 * time. */
KT_C_API int kt_session_create(kt_model *model, kt_session **session);
/* The same of a session that keeps its state, the inputs that outputs continue, with room for `capacity` elements along
 * the dimension that grows: they are not given to runs, and such outputs not asked for. A run that would not fit fails
 * with KT_USAGE and changes nothing. 0: without. */
KT_C_API int kt_session_create_with_state(kt_model *model, uint64_t capacity, kt_session **session);
/* Memory for the states that grow of several sessions of one model, such as caches: `pages` pages, each of
 * kt_pool_page_rows elements along the dimension that grows, for one element of the batch. Sessions take pages as they
 * grow and give them back when they are truncated, reset or freed. *pool is the caller's, to be given to kt_pool_free;
 * sessions keep what they need of it. KT_USAGE for a model whose states cannot lie in pages. Thread-safe. */
KT_C_API int kt_pool_create(kt_model *model, uint64_t pages, kt_pool **pool);
KT_C_API void kt_pool_free(kt_pool *pool);
/* All pages, those that no session holds, and the bytes of all. */
KT_C_API uint64_t kt_pool_pages(const kt_pool *pool);
KT_C_API uint64_t kt_pool_unused(const kt_pool *pool);
KT_C_API uint64_t kt_pool_bytes(const kt_pool *pool);
KT_C_API uint64_t kt_pool_page_rows(void);
/* A session with a state in a pool of the same model. A run that finds too few pages fails with KT_USAGE and changes
 * nothing. `capacity` 0: as much as the pool has pages. */
KT_C_API int kt_session_create_in_pool(kt_model *model, kt_pool *pool, uint64_t capacity, kt_session **session);
KT_C_API void kt_session_free(kt_session *session);
/* Which numbers that are not finite fail a run where something is computed out of finite ones; see
 * kt_session_check_numerics. KT_NUMERICS_FAULTS: NaNs and plus infinity, not minus infinity, of which masks are made.
 */
typedef enum { KT_NUMERICS_NONE, KT_NUMERICS_FAULTS, KT_NUMERICS_ALL } kt_numerics;
/* From the next run on each launch is waited for, its floating-point results are looked at, and the run fails with
 * KT_FAILED at the first that has such numbers although what it is made of has none: the message names the node. Slow;
 * there are no graphs meanwhile. KT_USAGE for artifacts of compilers that did not yet say what kernels compute. */
KT_C_API int kt_session_check_numerics(kt_session *session, kt_numerics mode);
/* The inputs, weights and states that had such numbers before anything was computed: line `index`, or "" where there
 * are no more. Belongs to the session until its next run. */
KT_C_API const char *kt_session_numerics_warning(const kt_session *session, uint32_t index);
/* How much of the state is held, and what there is room for; 0 for a session without one. */
KT_C_API uint64_t kt_session_held(const kt_session *session);
KT_C_API uint64_t kt_session_capacity(const kt_session *session);
/* Forgets all of the state; all but the first `length` elements. KT_USAGE where fewer are held, where there is no
 * state, and for a length between where runs replace a part of the state. */
KT_C_API int kt_session_reset(kt_session *session);
KT_C_API int kt_session_truncate(kt_session *session, uint64_t length);
/* *fork is the caller's, a session of its own that goes on from a copy of the state. Sessions of a pool share the pages
 * that are full; KT_USAGE where the pool has no page for the rest. */
KT_C_API int kt_session_fork(kt_session *session, kt_session **fork);

/* Runs with each input once, in any order; blocks until the outputs are in host memory. Inputs are borrowed for the
 * call. */
KT_C_API int kt_session_run(kt_session *session, const kt_tensor *inputs, uint32_t count);
/* Enqueues a run behind what `stream`, a CUstream or null, has been given, and returns; what the stream is given later
 * waits for it. Each input is bound once, outputs as they are wanted; memory on the device is the caller's until the
 * run is done. What the session owns on the device may be an input of the next run. Session::enqueue in Runtime.h says
 * all of it. */
KT_C_API int kt_session_enqueue(kt_session *session, const kt_binding *bindings, uint32_t count, void *stream);
/* Blocks until all that was enqueued is done; KT_FAILED where something went wrong in it. */
KT_C_API int kt_session_wait(kt_session *session);
/* The place behind what was enqueued. *event is the caller's, to be given to kt_event_free; it may outlive the session.
 */
KT_C_API int kt_session_record(kt_session *session, kt_event **event);
/* Blocks until what comes before the event is done. Thread-safe. */
KT_C_API int kt_event_wait(kt_event *event);
/* What `stream`, a CUstream, is given from now on waits for the event. Thread-safe. */
KT_C_API int kt_event_delay(kt_event *event, void *stream);
KT_C_API void kt_event_free(kt_event *event);
/* Ends the run in progress, or the next one where none is, with KT_FAILED: a loop ends within an iteration. The session
 * may be used afterwards. From any thread, as long as the session lives. Null is allowed. */
KT_C_API void kt_session_cancel(kt_session *session);
/* Output `index` of the latest run. Name, dims and data belong to the session and stay until its next run. KT_USAGE
 * when there is none. */
KT_C_API int kt_session_output(const kt_session *session, uint32_t index, kt_tensor *output);
/* The same with the place of its data, and its bytes as `capacity`: after kt_session_enqueue, where its binding wanted
 * it; data is null where there was none. `port` is KT_INPUT, so that it may be bound to an input of the next run under
 * that one's name. */
KT_C_API int kt_session_output_binding(const kt_session *session, uint32_t index, kt_binding *output);

#ifdef __cplusplus
}
#endif

#endif
