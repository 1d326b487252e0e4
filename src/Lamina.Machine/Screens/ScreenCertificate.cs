// What a screen proves to its viewers who it is by: two files of a folder, in PEM, named as those by which machines migrate.
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Lamina.Screens;

/// <summary>A screen's certificate.</summary>
internal static class ScreenCertificate
{
    /// <summary>Reads it, with those between it and the authority that vouches for it.</summary>
    /// <param name="certificate">The certificate's file; further certificates may follow it there.</param>
    /// <param name="key">The key's.</param>
    /// <exception cref="MachineException">It is none.</exception>
    internal static SslStreamCertificateContext Read(string certificate, string key)
    {
        try
        {
            var chain = new X509Certificate2Collection();
            chain.ImportFromPemFile(certificate);
            // Nothing is fetched.
            return SslStreamCertificateContext.Create(X509Certificate2.CreateFromPemFile(certificate, key), chain, offline: true);
        }
        catch (Exception wrong) when (wrong is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new MachineException(MachineError.File, $"{certificate} and {key} are no certificate in PEM with its key: {wrong.Message.TrimEnd('.')}", wrong);
        }
    }
}
