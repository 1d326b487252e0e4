// The image tiny for tests of the program: where it cannot be had a test is skipped, with the builder's reason.
using Lamina.Images;
using Xunit;

namespace Lamina.Tests.Cli.Support;

/// <summary>The user's image tiny, which the program boots by its name.</summary>
internal static class TinyImage
{
    /// <summary>Builds it where it is not there yet; skips the test where it cannot be had.</summary>
    public static async Task<Image> NeedAsync()
    {
        try
        {
            return await ImageStore.OfUser().FindOrBuildAsync("tiny", new Progress<ImageProgress>(), TestContext.Current.CancellationToken);
        }
        catch (ImageException cannot)
        {
            Assert.Skip($"the image tiny cannot be had here: {cannot.Message}");
            throw;
        }
    }

    /// <summary>The words by which a machine of another store boots it, or one of a folder of its own.</summary>
    public static async Task<string[]> WordsAsync()
    {
        var image = await NeedAsync();
        return ["--kernel", image.KernelPath, "--initrd", image.InitrdPath!, "--cmdline", image.CommandLine];
    }
}
