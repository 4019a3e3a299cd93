/* A libnvidia-ml.so.1 without hardware: what it answers stands in the file that FAKE_NVML names.
 *
 * The file is read at every call, so that a test can make a device fall off the bus at any moment.
 * Lines of tab-separated `key=value`; those that begin with `gpu` or `mig` are devices (a `mig` is a
 * part of the `gpu` before it), the one that begins with `driver` is about the whole:
 *
 *   driver  init=9  hang=1  crash=1     what nvmlInit answers; it never returns; it aborts
 *   gpu     uuid=GPU-1  name=H100  memory=85899345920  used=0  utilization=0  power=70000
 *           error=15  recovery=1  remap_failed=1  no_memory=1  hidden=1  pids=123:1024,456:2048
 *   mig     uuid=MIG-1  name=...  memory=...
 *
 * `error` is what every question after the device gets for an answer (15: GPU is lost), `handle` the
 * same already when it is asked for by index; one that is `hidden` is not even counted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7 };
enum { MAX_DEVICES = 64, MAX_TEXT = 96, RECOVERY_ACTION = 230, UNSIGNED_INT = 1 };

typedef unsigned long long bytes;

typedef struct {
  char uuid[MAX_TEXT], name[MAX_TEXT], pids[256];
  bytes memory, used;
  int is_part, parent, error, handle, hidden, no_memory, recovery, remap_failed, power, utilization;
} Device;

/* A handle is a place in `seen`: devices keep theirs as long as the process lives. */
typedef Device *Handle;

static Device seen[MAX_DEVICES];
static int count, init_answer, hang, crash, initialized;

static long long number(const char *line, const char *key, long long otherwise) {
  char wanted[32];
  snprintf(wanted, sizeof wanted, "\t%s=", key);
  const char *found = strstr(line, wanted);
  return found ? atoll(found + strlen(wanted)) : otherwise;
}

static void text(const char *line, const char *key, char *into, size_t size) {
  char wanted[32];
  snprintf(wanted, sizeof wanted, "\t%s=", key);
  const char *found = strstr(line, wanted);
  found = found ? found + strlen(wanted) : "";
  snprintf(into, size, "%.*s", (int)strcspn(found, "\t\n"), found);
}

static void read_device(const char *line, int is_part, int parent) {
  Device *device = &seen[count++];
  memset(device, 0, sizeof *device);
  text(line, "uuid", device->uuid, MAX_TEXT);
  text(line, "name", device->name, MAX_TEXT);
  text(line, "pids", device->pids, sizeof device->pids);
  device->memory = number(line, "memory", 80LL << 30);
  device->used = number(line, "used", 0);
  device->utilization = number(line, "utilization", 0);
  device->power = number(line, "power", 70000);
  device->error = number(line, "error", SUCCESS);
  device->handle = number(line, "handle", SUCCESS);
  device->hidden = number(line, "hidden", 0);
  device->no_memory = number(line, "no_memory", 0);
  device->recovery = number(line, "recovery", 0);
  device->remap_failed = number(line, "remap_failed", 0);
  device->is_part = is_part;
  device->parent = parent;
}

static void look(void) {
  const char *path = getenv("FAKE_NVML");
  FILE *file = path ? fopen(path, "r") : NULL;
  char line[1024];
  int parent = -1;
  count = init_answer = hang = crash = 0;
  while (file && fgets(line, sizeof line, file) && count < MAX_DEVICES) {
    if (strncmp(line, "driver\t", 7) == 0) {
      init_answer = number(line, "init", SUCCESS);
      hang = number(line, "hang", 0);
      crash = number(line, "crash", 0);
    } else if (strncmp(line, "gpu\t", 4) == 0) {
      parent = count;
      read_device(line, 0, parent);
    } else if (strncmp(line, "mig\t", 4) == 0) {
      read_device(line, 1, parent);
    }
  }
  if (file) fclose(file);
}

/* The n-th device of a kind that is there, or NULL. */
static Device *nth(unsigned n, int is_part, int parent) {
  for (int i = 0; i < count; i++) {
    Device *device = &seen[i];
    int fits = device->is_part == is_part && !device->hidden && (!is_part || device->parent == parent);
    if (fits && n-- == 0) return device;
  }
  return NULL;
}

static unsigned how_many(int is_part, int parent) {
  unsigned n = 0;
  while (nth(n, is_part, parent)) n++;
  return n;
}

/* What is wrong with asking this device anything. */
static int trouble(Handle device) {
  if (!initialized) return UNINITIALIZED;
  look();
  return device->error;
}

int nvmlInitWithFlags(unsigned flags) {
  (void)flags;
  look();
  while (hang) pause();
  if (crash) abort();
  initialized = init_answer == SUCCESS;
  return init_answer;
}

int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

int nvmlShutdown(void) {
  int was = initialized;
  initialized = 0;
  return was ? SUCCESS : UNINITIALIZED;
}

const char *nvmlErrorString(int code) {
  switch (code) {
    case SUCCESS: return "Success";
    case UNINITIALIZED: return "Uninitialized";
    case NOT_SUPPORTED: return "Not Supported";
    case 4: return "Insufficient Permissions";
    case NOT_FOUND: return "Not Found";
    case 9: return "Driver Not Loaded";
    case 15: return "GPU is lost";
    case 16: return "GPU requires reset";
    case 18: return "Driver/library version mismatch";
    default: return "Unknown Error";
  }
}

int nvmlSystemGetDriverVersion(char *into, unsigned size) {
  snprintf(into, size, "580.00.00");
  return initialized ? SUCCESS : UNINITIALIZED;
}

int nvmlDeviceGetCount_v2(unsigned *into) {
  if (!initialized) return UNINITIALIZED;
  look();
  *into = how_many(0, 0);
  return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, Handle *into) {
  if (!initialized) return UNINITIALIZED;
  look();
  Device *device = nth(index, 0, 0);
  if (!device) return INVALID;
  *into = device;
  return device->handle;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, Handle *into) {
  if (!initialized) return UNINITIALIZED;
  look();
  for (int i = 0; i < count; i++)
    if (!seen[i].hidden && strcmp(seen[i].uuid, uuid) == 0) {
      *into = &seen[i];
      return seen[i].handle;
    }
  return NOT_FOUND;
}

static int give(Handle device, const char *value, char *into, unsigned size) {
  int wrong = trouble(device);
  if (wrong) return wrong;
  if (strlen(value) >= size) return TOO_SMALL;
  strcpy(into, value);
  return SUCCESS;
}

int nvmlDeviceGetUUID(Handle device, char *into, unsigned size) {
  /* The library remembers it of a device that is lost. */
  look();
  if (strlen(device->uuid) >= size) return TOO_SMALL;
  strcpy(into, device->uuid);
  return SUCCESS;
}

int nvmlDeviceGetName(Handle device, char *into, unsigned size) {
  return give(device, device->name, into, size);
}

int nvmlDeviceGetIndex(Handle device, unsigned *into) {
  int wrong = trouble(device);
  for (*into = 0; !wrong && nth(*into, 0, 0) != device; ++*into)
    if (!nth(*into, 0, 0)) return INVALID;
  return wrong;
}

int nvmlDeviceGetMemoryInfo(Handle device, bytes *total_free_used) {
  int wrong = trouble(device);
  if (wrong) return wrong;
  if (device->no_memory) return NOT_SUPPORTED; /* it shares the CPU's memory */
  total_free_used[0] = device->memory;
  total_free_used[1] = device->memory - device->used;
  total_free_used[2] = device->used;
  return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(Handle device, unsigned *gpu_memory) {
  int wrong = trouble(device);
  if (wrong) return wrong;
  gpu_memory[0] = device->utilization;
  gpu_memory[1] = device->memory ? (unsigned)(100 * device->used / device->memory) : 0;
  return SUCCESS;
}

int nvmlDeviceGetPowerUsage(Handle device, unsigned *milliwatts) {
  int wrong = trouble(device);
  *milliwatts = device->power;
  return wrong;
}

int nvmlDeviceGetTemperature(Handle device, int sensor, unsigned *celsius) {
  (void)sensor;
  *celsius = 40;
  return trouble(device);
}

typedef struct {
  unsigned pid;
  bytes memory;
  unsigned gpu_instance, compute_instance;
} Process;

int nvmlDeviceGetComputeRunningProcesses_v3(Handle device, unsigned *size, Process *into) {
  int wrong = trouble(device);
  if (wrong) return wrong;
  unsigned found = 0, room = *size;
  for (const char *at = device->pids; *at; at += strcspn(at, ","), at += *at == ',') {
    if (found < room && into)
      into[found] = (Process){atoi(at), atoll(at + strcspn(at, ":") + 1), ~0u, ~0u};
    found++;
  }
  *size = found;
  return found > room ? TOO_SMALL : SUCCESS;
}

typedef struct {
  unsigned field, scope;
  long long timestamp, latency;
  int type, answer;
  union {
    double d;
    unsigned ui;
    bytes ull;
  } value;
} FieldValue;

int nvmlDeviceGetFieldValues(Handle device, int size, FieldValue *values) {
  int wrong = trouble(device);
  for (int i = 0; i < size && !wrong; i++) {
    int known = values[i].field == RECOVERY_ACTION && !device->is_part;
    values[i].answer = known ? SUCCESS : NOT_SUPPORTED;
    values[i].type = UNSIGNED_INT;
    values[i].value.ui = device->recovery;
  }
  return wrong;
}

int nvmlDeviceGetRemappedRows(Handle device, unsigned *corrected, unsigned *uncorrected,
                              unsigned *pending, unsigned *failed) {
  int wrong = trouble(device);
  if (wrong) return wrong;
  if (device->is_part) return NOT_SUPPORTED;
  *corrected = *uncorrected = *pending = 0;
  *failed = device->remap_failed;
  return SUCCESS;
}

int nvmlDeviceGetMigMode(Handle device, unsigned *current, unsigned *pending) {
  int wrong = trouble(device);
  if (wrong) return wrong;
  *current = *pending = how_many(1, (int)(device - seen)) > 0;
  return SUCCESS;
}

int nvmlDeviceGetMaxMigDeviceCount(Handle device, unsigned *most) {
  *most = 7;
  return trouble(device);
}

int nvmlDeviceGetMigDeviceHandleByIndex(Handle device, unsigned index, Handle *into) {
  int wrong = trouble(device);
  if (wrong) return wrong;
  Device *part = nth(index, 1, (int)(device - seen));
  if (!part) return NOT_FOUND;
  *into = part;
  return SUCCESS;
}

int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(Handle part, Handle *into) {
  int wrong = trouble(part);
  *into = &seen[part->parent];
  return wrong;
}
