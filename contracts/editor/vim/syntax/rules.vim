" Contracts in the language Rules 1. The words are those of docs/RULES.md, sections 1, 2 and 5.3.
if exists('b:current_syntax')
  finish
endif
syntax case match

syntax match rulesComment "//.*$" contains=@Spell
syntax match rulesTab "\t"

syntax keyword rulesDeclare rules contract version effective replaces measure party term record
syntax keyword rulesDeclare table uses account on signed dated test
syntax keyword rulesStatement clause let require if else for in apportion over as by giving
syntax keyword rulesStatement transfer from to issue into retire set add remove emit schedule at
syntax keyword rulesStatement tally clear given when then rejected
syntax keyword rulesContext anyone and clock overdraft unlimited against buyers sellers wait
syntax keyword rulesUnused null break const continue function import loop namespace package return
syntax keyword rulesUnused var void while
syntax keyword rulesBoolean true false
syntax keyword rulesNow now
syntax keyword rulesType bool int string bytes date timestamp duration list
syntax keyword rulesMode half_up half_even down up floor ceiling

" `round` and `max` are words of the grammar and functions: a bracket tells.
syntax match rulesContext "\<max\ze\s\+\d"
syntax match rulesFunction "\<\%(round\|has\|balance\|size\|min\|max\)\ze\s*("
syntax match rulesFunction "\<\%(day\|midnight\|month\|monday\|year\|days\|add_days\|add_months\)\ze\s*("
syntax match rulesFunction "\.\zs\%(size\|startsWith\|endsWith\|contains\)\ze\s*("
syntax match rulesFunction "\.\zs\%(all\|exists\|exists_one\|filter\|map\|sum\)\ze\s*("
syntax match rulesFunction "\.\zs\%(getFullYear\|getMonth\|getDate\|getDayOfMonth\|getDayOfWeek\)\ze\s*("
syntax match rulesFunction "\.\zs\%(getDayOfYear\|getHours\|getMinutes\|getSeconds\)\ze\s*("
syntax match rulesFunction "\.\zs\%(getMilliseconds\)\ze\s*("

syntax match rulesUnit "\<\%(kWh\|MWh\|Wh\|min\|h\|kg\|g\|pct\|[A-Z]\{3,8}\)\%(\s*/\s*\%(kWh\|MWh\|Wh\|min\|h\|kg\|g\|pct\|[A-Z]\{3,8}\)\)\=\>" contained
syntax match rulesMeasure "\<\%(kWh\|MWh\|Wh\|kg\|pct\|[A-Z]\{3,8}\)\>"
syntax match rulesNumber "\<0x[0-9A-Fa-f]\+\>"
syntax match rulesNumber "\<\d\+\%(\.\d\+\)*\>" nextgroup=rulesUnit skipwhite
syntax match rulesDate "\<\d\{4}-\d\d\=-\d\d\=\>"

syntax match rulesEscape +\\\%([abfnrtv\\?"'`]\|x\x\{2}\|u\x\{4}\|U\x\{8}\|\o\{3}\)+ contained
syntax region rulesString start=+\%(\<[bB]\)\="+ end=+"+ oneline contains=rulesEscape,@Spell
syntax region rulesString start=+\%(\<[bB]\)\='+ end=+'+ oneline contains=rulesEscape,@Spell
syntax region rulesString start=+\%(\<[bB]\)\="""+ end=+"""+ contains=rulesEscape,@Spell
syntax region rulesString start=+\%(\<[bB]\)\='''+ end=+'''+ contains=rulesEscape,@Spell
syntax region rulesString start=+\<[bB]\=[rR]"+ end=+"+ oneline
syntax region rulesString start=+\<[bB]\=[rR]'+ end=+'+ oneline
syntax region rulesString start=+\<[bB]\=[rR]"""+ end=+"""+
syntax region rulesString start=+\<[bB]\=[rR]'''+ end=+'''+

syntax region rulesFold start="{" end="}" transparent fold
syntax sync fromstart

highlight default link rulesComment Comment
highlight default link rulesTab Error
highlight default link rulesDeclare Structure
highlight default link rulesStatement Statement
highlight default link rulesContext Keyword
highlight default link rulesUnused Error
highlight default link rulesBoolean Boolean
highlight default link rulesNow Special
highlight default link rulesType Type
highlight default link rulesMode Constant
highlight default link rulesFunction Function
highlight default link rulesUnit Type
highlight default link rulesMeasure Type
highlight default link rulesNumber Number
highlight default link rulesDate Number
highlight default link rulesEscape SpecialChar
highlight default link rulesString String

let b:current_syntax = 'rules'
