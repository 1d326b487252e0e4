# The same in Perl.
use strict;
use Digest::SHA qw(sha256_hex);
my ($state, $sum, $fraction, %table) = (1, 0x811c9dc5, 0);
for (1 .. 2000000) {
  $state = ($state * 1664525 + 1013904223) & 0xffffffff;
  $sum = (($sum ^ ($state >> 24)) * 16777619) & 0xffffffff;
}
$fraction += sqrt($_) / ($_ + 0.5) for 1 .. 1000000;
for my $i (0 .. 199999) {
  $state = ($state * 1664525 + 1013904223) & 0xffffffff;
  push @{$table{"w" . ($state >> 14)}}, $i;
}
my $text = join ",", map { "$_=@{$table{$_}}" } sort keys %table;
my $found = () = $text =~ /w\d*7=\d+/g;
printf "%08x-%.17g-%d-%s\n", $sum, $fraction, $found, sha256_hex($text);
