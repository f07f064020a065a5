#!/usr/bin/env node
process.stdout.write('baton\n')
