// The fields of saved states: both directions by one list, and everything that a file may hold instead.
using Lamina.Core.State;
using Xunit;

namespace Lamina.Tests.Core.State;

public sealed class SavedFieldsTests
{
    private enum Colour
    {
        Red = 1,
        Green = 7,
    }

    private struct Inner
    {
        internal long Signed;
        internal byte? Perhaps;

        internal static void Exchange(SavedFields fields, ref Inner inner)
        {
            fields.Value(1, ref inner.Signed);
            fields.Value(2, ref inner.Perhaps);
        }
    }

    private sealed class Everything
    {
        internal bool Yes;
        internal byte Small;
        internal ulong Large;
        internal long Negative;
        internal Colour Colour = Colour.Red;
        internal string Text = "";
        internal byte[] Bytes = [];
        internal Inner Inner;
        internal readonly Inner[] Two = new Inner[2];
        internal IReadOnlyList<Inner> Many = [];
        internal readonly ushort[] Numbers = new ushort[3];

        internal void Exchange(SavedFields fields)
        {
            fields.Value(1, ref Yes);
            fields.Value(2, ref Small);
            fields.Value(3, ref Large);
            fields.Value(4, ref Negative);
            fields.Choice(5, ref Colour);
            fields.Text(6, ref Text);
            fields.Bytes(7, ref Bytes, most: 10);
            fields.Record(8, ref Inner, State.SavedFieldsTests.Inner.Exchange);
            fields.Records(9, Two, State.SavedFieldsTests.Inner.Exchange);
            fields.List(10, ref Many, 5, State.SavedFieldsTests.Inner.Exchange);
            fields.Values(11, Numbers);
        }
    }

    private static Everything Filled()
    {
        var all = new Everything
        {
            Yes = true,
            Small = 255,
            Large = ulong.MaxValue,
            Negative = long.MinValue,
            Colour = Colour.Green,
            Text = "Größe",
            Bytes = [1, 2, 3],
            Inner = new Inner { Signed = -1, Perhaps = 9 },
            Many = [new Inner { Signed = 1 }, new Inner { Signed = 2, Perhaps = 0 }, new Inner { Signed = 3 }],
        };
        all.Two[1].Signed = -77;
        all.Numbers[2] = 65535;
        return all;
    }

    private static byte[] Write(Everything all, int version = 1) => SavedFields.Write(version, all.Exchange);

    private static string Refused(byte[] bytes, Action<SavedFields> read) => Assert.Throws<StateException>(() => SavedFields.Read(bytes, 1, read)).Message;

    [Fact]
    public void What_is_written_is_read()
    {
        var read = new Everything();
        SavedFields.Read(Write(Filled()), 1, read.Exchange);

        Assert.Equal((true, (byte)255, ulong.MaxValue, long.MinValue, Colour.Green, "Größe"), (read.Yes, read.Small, read.Large, read.Negative, read.Colour, read.Text));
        Assert.Equal([1, 2, 3], read.Bytes);
        Assert.Equal((-1L, (byte?)9, 0L, -77L), (read.Inner.Signed, read.Inner.Perhaps, read.Two[0].Signed, read.Two[1].Signed));
        Assert.Equal([(1L, null), (2L, (byte?)0), (3L, null)], read.Many.Select(inner => (inner.Signed, inner.Perhaps)));
        Assert.Equal([0, 0, 65535], read.Numbers);
        Assert.Equal(Write(Filled()), Write(read));
    }

    [Fact]
    public void The_encoding_stays_for_good() => Assert.Equal(
        "020104FF01" + "06" + "FFFFFFFFFFFFFFFFFF01" + "08FFFFFFFFFFFFFFFFFF01" + "0A0E" + "0D07" + "4772C3B6C39F65" + "0F03010203" + "110402010409" + "13020200" + "1303029901" + "15020202" + "1504020404" + "00" + "15020206"
        + "17020200" + "17020200" + "170402FFFF03", Convert.ToHexString(Write(Filled())));

    [Fact]
    public void A_part_of_it_is_refused_wherever_it_ends()
    {
        var whole = Write(Filled());
        for (var length = 0; length < whole.Length; length++)
            Assert.NotEmpty(Refused(whole[..length], new Everything().Exchange));
    }

    [Fact]
    public void A_number_that_is_too_large_for_its_field_is_refused()
    {
        var large = 256;
        var bytes = SavedFields.Write(1, fields => fields.Value(1, ref large));
        byte small = 0;

        Assert.Contains("field 1 is too large", Refused(SavedFields.Write(1, fields => { var value = 256u; fields.Value(1, ref value); }), fields => fields.Value(1, ref small)), StringComparison.Ordinal);
        SavedFields.Read(bytes, 1, fields => fields.Value(1, ref large));
        Assert.Equal(256, large);
    }

    [Theory]
    [InlineData("0201", "has no field 2")]
    [InlineData("0201020104", "has field 1 twice")]
    [InlineData("020104010601", "has a field 3")]
    [InlineData("0401", "has no field 1")]
    [InlineData("00010201", "impossible number")]
    [InlineData("02FFFFFFFFFFFFFFFFFF02", "more than 64 bits")]
    [InlineData("0305FFFF", "is cut off in field 1")]
    [InlineData("03FFFFFFFFFFFFFFFF7F", "is cut off in field 1")]
    [InlineData("03000401", "has no field 1")]
    public void What_is_no_record_of_these_fields_is_refused(string bytes, string why)
    {
        byte first = 0, second = 0;
        Assert.Contains(why, Refused(Convert.FromHexString(bytes), fields =>
        {
            fields.Value(1, ref first);
            fields.Value(2, ref second);
        }), StringComparison.Ordinal);
    }

    [Fact]
    public void Values_without_meaning_are_refused()
    {
        var four = (byte)4;
        var bytes = SavedFields.Write(1, fields => fields.Value(1, ref four));
        var yes = false;
        var colour = Colour.Red;
        var text = "";

        Assert.Contains("neither yes nor no", Refused(bytes, fields => fields.Value(1, ref yes)), StringComparison.Ordinal);
        Assert.Contains("has no meaning (2)", Refused(bytes, fields => fields.Choice(1, ref colour)), StringComparison.Ordinal);
        Assert.Contains("has no field 1", Refused(bytes, fields => fields.Text(1, ref text)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("two\nlines")]
    [InlineData("\u001b[2J")]
    [InlineData("\0")]
    [InlineData("\u009b2J")]
    public void Text_that_would_do_something_to_a_terminal_is_refused(string text)
    {
        var read = "";

        Assert.Equal("field 1 is no text: it has control characters", Refused(SavedFields.Write(1, fields => fields.Text(1, ref text)), fields => fields.Text(1, ref read)));
    }

    [Fact]
    public void More_than_a_reader_takes_is_refused()
    {
        var bytes = new byte[11];
        IReadOnlyList<Inner> many = new Inner[6];
        var few = new Inner[1];

        Assert.Contains("11 bytes, and 10 are the most", Refused(SavedFields.Write(1, fields => fields.Bytes(1, ref bytes, 11)), fields => fields.Bytes(1, ref bytes, 10)), StringComparison.Ordinal);
        Assert.Contains("6 times, and 5 are the most", Refused(SavedFields.Write(1, fields => fields.List(1, ref many, 6, Inner.Exchange)), fields => fields.List(1, ref many, 5, Inner.Exchange)), StringComparison.Ordinal);
        Assert.Contains("6 times and not 1", Refused(SavedFields.Write(1, fields => fields.List(1, ref many, 6, Inner.Exchange)), fields => fields.Records(1, few, Inner.Exchange)), StringComparison.Ordinal);
        Assert.Contains("11 bytes and not 3", Refused(SavedFields.Write(1, fields => fields.Bytes(1, new byte[11].AsSpan())), fields => fields.Bytes(1, new byte[3].AsSpan())), StringComparison.Ordinal);
    }

    [Fact]
    public void An_older_version_is_read_without_what_is_newer()
    {
        int old = 1, since2 = 2;
        void Fields(SavedFields fields)
        {
            fields.Value(1, ref old);
            fields.Value(2, ref since2, since: 2);
        }

        var first = SavedFields.Write(1, Fields);
        var second = SavedFields.Write(2, Fields);
        (old, since2) = (0, 5);
        SavedFields.Read(first, 1, Fields);
        Assert.Equal((1, 5), (old, since2));
        SavedFields.Read(second, 2, Fields);
        Assert.Equal((1, 2), (old, since2));
        Assert.Throws<StateException>(() => SavedFields.Read(first, 2, Fields));
        Assert.Throws<StateException>(() => SavedFields.Read(second, 1, Fields));
    }

    [Fact]
    public void Damage_is_refused_or_read_as_something_else_and_never_more_than_that()
    {
        var whole = Write(Filled());
        var random = new Random(3);
        for (var round = 0; round < 20_000; round++)
        {
            var damaged = (byte[])whole.Clone();
            for (var changes = random.Next(1, 5); changes > 0; changes--) damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            try
            {
                SavedFields.Read(damaged, 1, new Everything().Exchange);
            }
            catch (StateException)
            {
                continue;
            }
        }
    }
}
