# SPDX-License-Identifier: Apache-2.0
# Bash at work for so many seconds.
end=$((SECONDS + $1))

fib()
{
	local n=$1
	if ((n < 2)); then
		result=$n
		return
	fi
	fib $((n - 1))
	local one=$result
	fib $((n - 2))
	result=$((one + result))
}

words()
{
	local -A count=()
	local text='' i word
	for ((i = 0; i < 200; i++)); do
		text+=" word$((i * 7919 % 61))"
	done
	for word in $text; do
		count[$word]=$((${count[$word]:-0} + 1))
		[[ $word =~ ^word([0-9]+)$ ]] && : "${BASH_REMATCH[1]}"
	done
	: "${text//word/letter}" "${#count[@]}"
}

while ((SECONDS < end)); do
	fib 9
	words
	: "$(echo "$result" | while read -r x; do echo "$x"; done)"
done
