" Only a text that begins as a contract does: udev and others use the ending too.
autocmd BufRead,BufNewFile *.rules
    \ if getline(1) =~# '^\s*\(rules\s\+\d\|//\)' || getline(1) ==# '' | set filetype=rules | endif
