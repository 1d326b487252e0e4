using Lamina.Images;
using Xunit;

namespace Lamina.Tests.Cli.Support;

/// <summary>The user's image tiny, which the program boots by its name.</summary>
internal static class TinyImage
{
    /// <summary>Builds it where it is not there yet; skips the test, with the builder's reason, where it cannot be had.</summary>
    public static async Task NeedAsync()
    {
        try
        {
            await ImageStore.OfUser().FindOrBuildAsync("tiny", new Progress<ImageProgress>(), TestContext.Current.CancellationToken);
        }
        catch (ImageException cannot)
        {
            Assert.Skip($"the image tiny cannot be had here: {cannot.Message}");
        }
    }
}
