// Who an end of a TLS connection is and whom it believes: files in PEM in one folder, as the user made them. No authority of the host's is asked: who vouches for the
// other end is the user's to say.
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Lamina.Host.Net;

/// <summary>What one end of a TLS connection has: ca.pem (who vouches for the other end), cert.pem and key.pem (its own certificate and the key).</summary>
public sealed class TlsIdentity
{
    private readonly X509Certificate2? _own;
    private readonly X509Certificate2Collection? _authorities;

    private TlsIdentity(X509Certificate2? own, X509Certificate2Collection? authorities) => (_own, _authorities) = (own, authorities);

    /// <summary>An end that proves who it is and asks the other for the same: all three files.</summary>
    /// <param name="folder">Where the files are.</param>
    /// <exception cref="HostException">One is missing or is none; the message is a sentence.</exception>
    public static TlsIdentity OfBoth(string folder) => new(LoadOwn(folder), LoadAuthorities(folder));

    /// <summary>An end that calls: it asks for the other's certificate, and has one of its own where the folder holds one.</summary>
    /// <param name="folder">Where the files are.</param>
    /// <exception cref="HostException">One is missing or is none; the message is a sentence.</exception>
    public static TlsIdentity OfCaller(string folder) => new(Path.Exists(CertificateIn(folder)) || Path.Exists(KeyIn(folder)) ? LoadOwn(folder) : null, LoadAuthorities(folder));

    /// <summary>An end that is called and takes whoever calls: cert.pem and key.pem.</summary>
    /// <param name="folder">Where the files are.</param>
    /// <exception cref="HostException">One is missing or is none; the message is a sentence.</exception>
    public static TlsIdentity OfAnyonesServer(string folder) => new(LoadOwn(folder), null);

    /// <summary>How it speaks where it is called: TLS 1.2 or 1.3; who calls must have a certificate by the authority, where there is one.</summary>
    public SslServerAuthenticationOptions ToAnswer() => new()
    {
        ServerCertificate = _own,
        ClientCertificateRequired = _authorities is not null,
        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        RemoteCertificateValidationCallback = (_, certificate, _, _) => _authorities is null || IsVouchedFor(certificate, null),
    };

    /// <summary>How it speaks where it calls: TLS 1.2 or 1.3.</summary>
    /// <param name="name">The host's name or address, as its certificate must have it.</param>
    public SslClientAuthenticationOptions ToCall(string name) => new()
    {
        TargetHost = name,
        ClientCertificates = _own is null ? null : [_own],
        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        RemoteCertificateValidationCallback = (_, certificate, _, _) => IsVouchedFor(certificate, name),
    };

    private bool IsVouchedFor(X509Certificate? certificate, string? name)
    {
        if (certificate is null || _authorities is null) return false;
        using var other = X509CertificateLoader.LoadCertificate(certificate.GetRawCertData());
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.AddRange(_authorities);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        return chain.Build(other) && (name is null || other.MatchesHostname(name, allowWildcards: true, allowCommonName: false));
    }

    private static string CertificateIn(string folder) => Path.Combine(folder, "cert.pem");

    private static string KeyIn(string folder) => Path.Combine(folder, "key.pem");

    private static X509Certificate2 LoadOwn(string folder)
    {
        var (certificate, key) = (CertificateIn(folder), KeyIn(folder));
        try
        {
            return X509Certificate2.CreateFromPemFile(certificate, key);
        }
        catch (Exception wrong) when (wrong is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new HostException($"{certificate} and {key} are no certificate in PEM with its key: {wrong.Message.TrimEnd('.')}", wrong) { IsOfTheName = true };
        }
    }

    private static X509Certificate2Collection LoadAuthorities(string folder)
    {
        var path = Path.Combine(folder, "ca.pem");
        try
        {
            var authorities = new X509Certificate2Collection();
            authorities.ImportFromPemFile(path);
            return authorities.Count > 0 ? authorities : throw new CryptographicException("it holds none");
        }
        catch (Exception wrong) when (wrong is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new HostException($"{path} is no certificate in PEM: {wrong.Message.TrimEnd('.')}", wrong) { IsOfTheName = true };
        }
    }
}
