// The limit that a fetcher of trees is held against: the frames of a full pack inflated, hashed and made files of, by two threads
// and nothing else. No network, no checks of names, no signature.
// usage: c-limit PACK PLAN FOLDER; PLAN has lines `d PATH`, `l PATH TARGET`, `t OFFSET PACKED UNPACKED` for a frame, and
// `f MODE FROM TO DIGEST PATH` for a file in the frame before it. Paths have no white space.
#include <fcntl.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

enum { threads = 2, tag_bytes = 14 };
static const char tag[tag_bytes] = "aether-file-1";

struct file { char *path, *digest; unsigned mode; size_t from, to; };
struct frame { size_t offset, packed, unpacked, first, end; };

static struct file *files;
static struct frame *frames;
static size_t file_count, frame_count;
static const char *pack;
static int folder;
static atomic_size_t next_frame;

static void fail(const char *what) { perror(what); _exit(1); }

static void write_file(char *tar, const struct file *one) {
  int fd = openat(folder, one->path, O_WRONLY | O_CREAT | O_EXCL, one->mode);
  if (fd < 0) fail(one->path);
  for (size_t at = one->from; at < one->to;) {
    ssize_t done = write(fd, tar + at, one->to - at);
    if (done < 0) fail(one->path);
    at += done;
  }
  close(fd);
  unsigned char found[SHA256_DIGEST_LENGTH];
  char hex[2 * SHA256_DIGEST_LENGTH + 1];
  memcpy(tar + one->from - tag_bytes, tag, tag_bytes);
  SHA256((unsigned char *)tar + one->from - tag_bytes, tag_bytes + one->to - one->from, found);
  for (int n = 0; n < SHA256_DIGEST_LENGTH; n++) sprintf(hex + 2 * n, "%02x", found[n]);
  if (strcmp(hex, one->digest) != 0) { fprintf(stderr, "%s has another digest\n", one->path); _exit(1); }
}

static void *work(void *unused) {
  (void)unused;
  ZSTD_DCtx *context = ZSTD_createDCtx();
  size_t size = 0;
  char *tar = NULL;
  for (size_t n; (n = atomic_fetch_add(&next_frame, 1)) < frame_count;) {
    const struct frame *one = &frames[n];
    if (one->unpacked > size) tar = realloc(tar, size = one->unpacked);
    if (ZSTD_decompressDCtx(context, tar, size, pack + one->offset, one->packed) != one->unpacked) fail("a frame");
    for (size_t at = one->first; at < one->end; at++) write_file(tar, &files[at]);
  }
  return NULL;
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  umask(022);
  int packed = open(argv[1], O_RDONLY);
  struct stat stat;
  if (packed < 0 || fstat(packed, &stat) != 0) fail(argv[1]);
  pack = mmap(NULL, stat.st_size, PROT_READ, MAP_PRIVATE, packed, 0);
  FILE *plan = fopen(argv[2], "r");
  folder = open(argv[3], O_RDONLY | O_DIRECTORY);
  if (pack == MAP_FAILED || plan == NULL || folder < 0) fail(argv[2]);
  size_t link_count = 0, links_room = 0, files_room = 0, frames_room = 0;
  char **links = NULL, line[16384], path[8192], other[8192];
  while (fgets(line, sizeof line, plan) != NULL) {
    struct file file;
    struct frame frame;
    if (sscanf(line, "d %8191s", path) == 1) {
      if (mkdirat(folder, path, 0775) != 0) fail(path);
    } else if (sscanf(line, "l %8191s %8191s", path, other) == 2) {
      if (link_count + 2 > links_room) links = realloc(links, (links_room = 2 * links_room + 64) * sizeof *links);
      links[link_count++] = strdup(path);
      links[link_count++] = strdup(other);
    } else if (sscanf(line, "t %zu %zu %zu", &frame.offset, &frame.packed, &frame.unpacked) == 3) {
      if (frame_count == frames_room) frames = realloc(frames, (frames_room = 2 * frames_room + 64) * sizeof *frames);
      frame.first = frame.end = file_count;
      frames[frame_count++] = frame;
    } else if (sscanf(line, "f %o %zu %zu %64s %8191s", &file.mode, &file.from, &file.to, other, path) == 5) {
      if (file_count == files_room) files = realloc(files, (files_room = 2 * files_room + 64) * sizeof *files);
      file.path = strdup(path);
      file.digest = strdup(other);
      files[file_count++] = file;
      frames[frame_count - 1].end = file_count;
    } else return 2;
  }
  pthread_t all[threads];
  for (int n = 0; n < threads; n++) pthread_create(&all[n], NULL, work, NULL);
  for (int n = 0; n < threads; n++) pthread_join(all[n], NULL);
  for (size_t n = 0; n < link_count; n += 2)
    if (symlinkat(links[n + 1], folder, links[n]) != 0) fail(links[n]);
  return 0;
}
