# SPDX-License-Identifier: Apache-2.0
# Perl at work for so many seconds.
use strict;
use warnings;

my $end = time() + $ARGV[0];

sub walk
{
	my ($depth) = @_;
	return $depth ? 1 + walk($depth - 1) + walk($depth - 1) : 1;
}

sub words
{
	my %count;
	my $text = join ' ', map { 'word' . ($_ * 7919 % 613) . ' ' . $_ * $_ } 1 .. 1500;
	$count{$1} += $2 while $text =~ /(\w+?\d+) (\d*[13579])\b/g;
	(my $other = $text) =~ s/(\d)(\d)/$2$1/g;
	my @order = sort { $count{$a} <=> $count{$b} || $a cmp $b } keys %count;
	return sprintf '%s %d %s', $order[0], scalar @order, unpack '%32C*', $other;
}

while (time() < $end) {
	walk(9);
	words();
	eval { die { code => $_ } if $_ % 3; 1 } for 1 .. 200;
}
