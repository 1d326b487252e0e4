// Names of keys, strokes as people write them, and texts by the layouts of keyboards.
using Lamina.Core.Input;
using Xunit;

namespace Lamina.Tests.Core.Input;

public sealed class KeyTests
{
    [Fact]
    public void Every_name_is_a_key_and_every_key_of_a_layout_has_a_name()
    {
        Assert.All(KeyNames.All, name => Assert.NotNull(KeyNames.Find(name)));
        foreach (var layout in KeyboardLayout.All)
            for (var character = ' '; character < '\u2100'; character++)
                foreach (var key in layout.Write($"{character}").Strokes.SelectMany(stroke => stroke.Keys)) Assert.Equal(key, KeyNames.Find(KeyNames.NameOf(key)!));
    }

    [Fact]
    public void A_stroke_is_read()
    {
        var (stroke, problem) = KeyStroke.Read("Ctrl-alt-DEL");
        Assert.Null(problem);
        Assert.Equal([new KeyCode(0x1d), new KeyCode(0x38), new KeyCode(0x53, true)], stroke!.Keys);
    }

    [Theory]
    [InlineData("", "is no combination of keys")]
    [InlineData("ctrl-", "is no combination of keys")]
    [InlineData("ctrl-foo", "there is no key \"foo\"")]
    [InlineData("a-b-c-d-e-f-g-h-i-j-k", "has more than 10 keys")]
    [InlineData("esc-escape", "names a key twice")]
    public void What_is_no_stroke_is_a_sentence(string text, string problem) => Assert.Contains(problem, KeyStroke.Read(text).Problem);

    [Theory]
    [InlineData("us", "Hi~\n", "shift-h i shift-grave enter")]
    [InlineData("de", "zY@", "y shift-z alt_r-q")]
    [InlineData("de", "^|", "grave space alt_r-less")]
    [InlineData("fr", "aM1,", "q shift-semicolon shift-1 m")]
    [InlineData("gb", "\"£#", "shift-2 shift-3 backslash")]
    public void A_text_is_written_by_a_layout(string layout, string text, string strokes)
    {
        var (written, missing) = KeyboardLayout.Find(layout)!.Write(text);
        Assert.Null(missing);
        Assert.Equal(strokes, string.Join(' ', written.Select(stroke => string.Join('-', stroke.Keys.Select(KeyNames.NameOf)))));
    }

    [Theory]
    [InlineData("us", "grün", "ü")]
    [InlineData("de", "a😀", "😀")]
    public void What_no_key_gives_is_named(string layout, string text, string missing) => Assert.Equal(missing, KeyboardLayout.Find(layout)!.Write(text).Missing);

    [Fact]
    public void All_that_ASCII_can_print_is_on_every_layout()
    {
        var ascii = string.Concat(Enumerable.Range(' ', 95).Select(code => (char)code));
        Assert.All(KeyboardLayout.All, layout => Assert.Null(layout.Write(ascii).Missing));
    }

    [Theory]
    [InlineData(0u, null)]
    [InlineData(0x80u, null)]
    [InlineData(0x100u, null)]
    [InlineData(0x1eu, "a")]
    [InlineData(0xc8u, "up")]
    [InlineData(0xc6u, "pause")]
    [InlineData(0xb7u, "print")]
    public void Remote_screens_name_keys_by_numbers(uint number, string? name) => Assert.Equal(name, KeyCode.FromRfb(number) is { } key ? KeyNames.NameOf(key) : null);
}
