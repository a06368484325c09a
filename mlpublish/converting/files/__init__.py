"""Model files of other libraries, looked through before those libraries open them: some end the process over a broken one."""
