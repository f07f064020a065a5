/*
 * watch OBJECT: loads and attaches the programs of softirq.bpf.o, prints "watching", and then, for each line that it reads,
 * both tables as one JSON object: nanoseconds by network namespace and by process. Ends with its input.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void print_table(struct bpf_object *object, const char *map, const char *name, const char *after) {
  int fd = bpf_object__find_map_fd_by_name(object, map);
  if (fd < 0) fail(map);
  printf("\"%s\":{", name);
  unsigned key, *last = NULL;
  unsigned long long value;
  const char *between = "";
  while (bpf_map_get_next_key(fd, last, &key) == 0) {
    last = &key;
    if (bpf_map_lookup_elem(fd, &key, &value) < 0) continue;
    printf("%s\"%u\":%llu", between, key, value);
    between = ",";
  }
  printf("}%s", after);
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "watch OBJECT\n");
    return 2;
  }
  struct bpf_object *object = bpf_object__open_file(argv[1], NULL);
  if (object == NULL) fail(argv[1]);
  if (bpf_object__load(object) < 0) fail("load");
  struct bpf_program *program;
  bpf_object__for_each_program(program, object) {
    if (bpf_program__attach(program) == NULL) fail(bpf_program__name(program));
  }
  printf("watching\n");
  fflush(stdout);
  char line[16];
  while (fgets(line, sizeof line, stdin) != NULL) {
    printf("{");
    print_table(object, "by_net", "networks", ",");
    print_table(object, "by_process", "processes", "}\n");
    fflush(stdout);
  }
  return 0;
}
